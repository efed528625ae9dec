/**
 * What a stream with `stream_options.live` tells, put together: branches of text that grow, are cut back, fork
 * and are abandoned. No document in here.
 *
 * @typedef {{token: string, id: number, logprob: number, forced: boolean,
 *   signals: Record<string, number>, top: {token: string, logprob: number}[]}} Token
 * @typedef {{position: number, tokens: Token[], scraps: Scrap[], rule: string, detail: object}} Scrap
 *   Tokens that were taken back at a position, with the scraps inside them.
 * @typedef {{id: string, parent: string|null, from: number, tokens: Token[], scraps: Scrap[], grown: number,
 *   state: "open"|"dropped"|"chosen"}} Branch `grown`: how many tokens the run had when this one last got one.
 * @typedef {{branches: Map<string, Branch>, chosen: string|null, length: number|null, written: number}} Run
 */

/** @returns {Run} */
export function newRun() {
  return { branches: new Map([["0", newBranch("0", null, 0)]]), chosen: null, length: null, written: 0 };
}

/**
 * Apply one item of `live` of the first choice. Events that cut nothing back change no text, and items that
 * this page does not know are ignored.
 * @param {Run} run
 */
export function applyLive(run, item) {
  const branch = run.branches.get(item.branch);
  switch (item.type) {
    case "token":
      branch.tokens.length = item.position;
      branch.tokens.push(tokenOf(item));
      branch.grown = ++run.written;
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
    case "chosen":
      branch.state = "chosen";
      run.chosen = item.branch;
      run.length = item.position;
      break;
  }
  return run;
}

/**
 * The branch to show: the one that was chosen; until then the first that is being written. One that was only
 * set aside, for the case that nothing better comes, is passed over.
 * @param {Run} run
 * @returns {Branch}
 */
export function shownBranch(run) {
  if (run.chosen !== null) return run.branches.get(run.chosen);
  const open = [...run.branches.values()].filter(({ state }) => state === "open");
  const recent = run.written - 2 * open.length;
  return open.find(({ grown }) => grown > recent) ?? open[0] ?? run.branches.get("0");
}

/** The tokens of the branch to show; once it is chosen, those of the answer. */
export function shownTokens(run) {
  const branch = shownBranch(run);
  return run.length === null ? branch.tokens : branch.tokens.slice(0, run.length);
}

/**
 * The other branches, as far as they wrote what is not to be seen in the branch that is shown or in those before
 * them, in the order in which they began.
 * @returns {{branch: Branch, from: number, tokens: Token[]}[]}
 */
export function otherBranches(run) {
  const shown = shownBranch(run);
  const seen = new Set([...shown.tokens, ...scrapped(shown.scraps)]);
  return [...run.branches.values()].flatMap((branch) => {
    const from = branch.tokens.findIndex((token) => !seen.has(token));
    if (branch === shown || from === -1) return [];
    const tokens = branch.tokens.slice(from);
    for (const token of tokens) seen.add(token);
    return [{ branch, from, tokens }];
  });
}

/** The text of tokens; bytes at its end that are no character yet are left out. */
export const textOf = (tokens) => textsOf(tokens).join("");

/** What each token adds to the text: nothing where it ends within a character, which the next ones complete. */
export function textsOf(tokens) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return tokens.map((token) => decoder.decode(bytesOf(token), { stream: true }));
}

/** A token that is no text by itself is written as its bytes: `bytes:\xe2\x82`. */
export const isBytes = ({ token }) => BYTES.test(token);

const BYTES = /^bytes:(\\x[0-9a-f]{2})+$/;
const encoder = new TextEncoder();

function bytesOf(token) {
  if (!isBytes(token)) return encoder.encode(token.token);
  return Uint8Array.from(token.token.matchAll(/\\x([0-9a-f]{2})/g), ([, hex]) => parseInt(hex, 16));
}

/** All tokens that were written, kept or not, each once. */
export function everyToken(run) {
  return new Set(
    [...run.branches.values()].flatMap(({ tokens, scraps }) => [...tokens, ...scrapped(scraps)]),
  );
}

function* scrapped(scraps) {
  for (const scrap of scraps) {
    yield* scrap.tokens;
    yield* scrapped(scrap.scraps);
  }
}

/** @returns {Branch} */
function newBranch(id, parent, from) {
  return { id, parent, from, tokens: [], scraps: [], grown: 0, state: "open" };
}

function fork(parent, { branch, position }) {
  const child = newBranch(branch, parent.id, position);
  child.grown = parent.grown;
  child.tokens = parent.tokens.slice(0, position);
  child.scraps = parent.scraps.filter((scrap) => scrap.position <= position);
  return child;
}

function cutBack(branch, { position, rule, detail }) {
  const tokens = branch.tokens.splice(position);
  // Earlier attempts at the same place stay beside this one; those further on belong to what is cut.
  const inside = branch.scraps.filter((scrap) => scrap.position > position);
  branch.scraps = branch.scraps.filter((scrap) => scrap.position <= position);
  branch.scraps.push({ position, tokens, scraps: inside, rule, detail });
}

function tokenOf(item) {
  return {
    token: item.token,
    id: item.token_id,
    logprob: item.logprob,
    forced: item.forced ?? false,
    // One that is not finite is null, which is like one that was not read.
    signals: Object.fromEntries(Object.entries(item.signals ?? {}).filter(([, value]) => value !== null)),
    top: item.top ?? [],
  };
}
