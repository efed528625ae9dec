/** An answer as it is written: what the stream of one request has told so far. No document in here. */

import { applyLive, everyToken, newRun, shownBranch, shownTokens, textOf } from "./live.js";
import { isProbe } from "./schema.js";
import { count, duration } from "./wording.js";

const ENDINGS = { stop: "complete", length: "cut at its limit", abstain: "declined to answer" };

/**
 * @typedef {{body: Record<string, any>|null, run: import("./live.js").Run, usage: Record<string, any>|null,
 *   done: {reason: string, events: object[], seconds: number}|null, ending: string|null}} Answer
 *   `body`: of the request, null before there is one; `ending`: what ended the writing before it was complete
 */

/** @returns {Answer} one of which nothing is written */
export function newAnswer(body = null) {
  return { body, run: newRun(), usage: null, done: null, ending: null };
}

/**
 * Take what a chunk of the stream tells of the first choice.
 * @param {Answer} answer
 * @param {number} seconds since the request was sent
 */
export function take(answer, chunk, seconds) {
  for (const item of chunk.live ?? []) if (item.index === 0) applyLive(answer.run, item);
  if (chunk.usage) answer.usage = chunk.usage;
  for (const { finish_reason: finished, stop_reason: stopped, events } of chunk.choices) {
    if (finished === null) continue;
    answer.done = { reason: stopped === "abstain" ? stopped : finished, events: events ?? [], seconds };
  }
}

/** Whether there is something to see, be it what was taken back. @param {Answer} answer */
export function isBegun({ run }) {
  const { tokens, scraps } = shownBranch(run);
  return run.branches.size > 1 || tokens.length > 0 || scraps.length > 0;
}

/** The text as it is shown. @param {Answer} answer */
export const writtenText = ({ run }) => textOf(shownTokens(run));

/** How far it is and what it cost, in words. @param {Answer} answer */
export function statusOf({ body, run, usage, done, ending }) {
  if (!body) return "Not started.";
  const kept = usage?.completion_tokens ?? shownTokens(run).length;
  const lost = usage ? usage.completion_tokens_details.discarded_tokens : everyToken(run).size - kept;
  const parts = [`${count(kept, "token")} kept`, `${lost} discarded`];
  if (done) parts.push(duration(done.seconds), ENDINGS[done.reason] ?? done.reason);
  else parts.push(ending ?? "writing…");
  return parts.join(" · ");
}

/**
 * The index of the token that a signal doubts most; -1 where there is none.
 * @param {import("./live.js").Token[]} tokens
 * @param {Record<string, any>} signal
 */
export function mostDoubtful(tokens, signal) {
  const sign = signal.higher_means === "certain" ? -1 : 1;
  const doubtOf = (value) => (value === undefined ? -Infinity : sign * value);
  const doubts = tokens.map(({ signals }) => doubtOf(signals[signal.name]));
  return doubts.indexOf(Math.max(...doubts));
}

/** Which signals the timeline shows: the chosen one and, beside it, doubt about tokens or about steps. */
export function axesOf(signals, chosen) {
  const named = (name) => signals.find((other) => other.name === name) ?? null;
  const withSparse = (one) => one && { ...one, sparse: isProbe(one.name) };
  if (!isProbe(chosen.name))
    return { left: withSparse(chosen), right: withSparse(named("probe:step_error")) };
  return { left: withSparse(named("entropy") ?? chosen), right: withSparse(chosen) };
}
