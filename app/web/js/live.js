/**
 * What a stream with `stream_options.live` tells, put together: branches of text that grow, are cut back, fork
 * and are abandoned. No document in here.
 *
 * @typedef {{token: string, id: number, logprob: number, forced: boolean,
 *   signals: Record<string, number>, top: {token: string, logprob: number}[]}} Token
 * @typedef {{position: number, tokens: Token[], scraps: Scrap[], rule: string, detail: object}} Scrap
 *   Tokens that were taken back at a position, with the scraps inside them.
 * @typedef {{id: string, parent: string|null, from: number, tokens: Token[], scraps: Scrap[],
 *   state: "open"|"dropped"|"chosen"}} Branch
 * @typedef {{branches: Map<string, Branch>, chosen: string|null, length: number|null, events: object[]}} Run
 */

/** @returns {Run} */
export function newRun() {
  return { branches: new Map([["0", newBranch("0", null, 0)]]), chosen: null, length: null, events: [] };
}

/**
 * Apply one item of `live` of the first choice. Items that this page does not know are ignored.
 * @param {Run} run
 */
export function applyLive(run, item) {
  const branch = run.branches.get(item.branch);
  switch (item.type) {
    case "token":
      branch.tokens.length = item.position;
      branch.tokens.push(tokenOf(item));
      break;
    case "rollback":
      cutBack(branch, item);
      break;
    case "fork":
      run.branches.set(item.branch, fork(run.branches.get(item.from), item));
      break;
    case "drop":
      branch.state = "dropped";
      break;
    case "event":
      run.events.push({ position: item.position, rule: item.rule, detail: item.detail, branch: item.branch });
      break;
    case "chosen":
      branch.state = "chosen";
      run.chosen = item.branch;
      run.length = item.position;
      break;
  }
  return run;
}

/**
 * The branch to show: the one that was chosen; until then the open one that has been there longest.
 * @param {Run} run
 * @returns {Branch}
 */
export function shownBranch(run) {
  if (run.chosen !== null) return run.branches.get(run.chosen);
  for (const branch of run.branches.values()) if (branch.state === "open") return branch;
  return run.branches.get("0");
}

/** The tokens of the branch to show; once it is chosen, those of the answer. */
export function shownTokens(run) {
  const branch = shownBranch(run);
  return run.length === null ? branch.tokens : branch.tokens.slice(0, run.length);
}

/** The other branches that wrote something of their own, in the order in which they began. */
export function otherBranches(run) {
  const shown = shownBranch(run);
  return [...run.branches.values()].filter((branch) => branch !== shown && ownTokens(branch).length > 0);
}

/** What a branch wrote after it was forked. */
export function ownTokens(branch) {
  return branch.tokens.slice(branch.from);
}

export const textOf = (tokens) => tokens.map((token) => token.token).join("");

/** All tokens that were written, kept or not. */
export function* everyToken(run) {
  for (const branch of run.branches.values()) {
    yield* ownTokens(branch);
    yield* scrapped(branch.scraps.filter((scrap) => scrap.owner === branch.id));
  }
}

function* scrapped(scraps) {
  for (const scrap of scraps) {
    yield* scrap.tokens;
    yield* scrapped(scrap.scraps);
  }
}

function newBranch(id, parent, from) {
  return { id, parent, from, tokens: [], scraps: [], state: "open" };
}

function fork(parent, { branch, position }) {
  const child = newBranch(branch, parent.id, position);
  child.tokens = parent.tokens.slice(0, position);
  child.scraps = parent.scraps.filter((scrap) => scrap.position <= position);
  return child;
}

function cutBack(branch, { position, rule, detail }) {
  const tokens = branch.tokens.splice(position);
  // Earlier attempts at the same place stay beside this one; those further on belong to what is cut.
  const inside = branch.scraps.filter((scrap) => scrap.position > position);
  branch.scraps = branch.scraps.filter((scrap) => scrap.position <= position);
  branch.from = Math.min(branch.from, position);
  branch.scraps.push({ position, tokens, scraps: inside, rule, detail, owner: branch.id });
}

function tokenOf(item) {
  return {
    token: item.token,
    id: item.token_id,
    logprob: item.logprob,
    forced: item.forced ?? false,
    signals: item.signals ?? {},
    top: item.top ?? [],
  };
}
