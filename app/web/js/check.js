/** What the corpus's checker says of an answer as it grows. No document in here. */

import { textOf } from "./live.js";

/**
 * @typedef {{start: number, end: number, verdict: string, detail: string, written?: number|null}} Step
 *   `start`, `end`: characters of the text; `written`: the number that it ends in
 * @typedef {{steps: Step[], problem_error: string|null, [more: string]: any}} Check
 */

/**
 * One question at a time, the newest text next.
 * @param {(prompt: string, text: string) => Promise<Check>} ask what it throws is the caller's to tell
 */
export function checker(ask) {
  /** @type {Check|null} */
  let found = null;
  /** @type {{text: string|null, busy: boolean}} */
  let asked = { text: null, busy: false };

  function wants(text, complete) {
    if (asked.busy || text === asked.text || found?.problem_error) return false;
    // Half a step need not be judged, as long as the text only grows.
    const grows = found && asked.text !== null && text.startsWith(asked.text);
    return complete || !grows || /[.\n]\s*$/.test(text);
  }

  return {
    /** The latest answer, null before there is one. */
    get found() {
      return found;
    },
    /** Begin with another text. @param {Check|null} known of its problem, without steps */
    begin(known) {
      found = known;
      asked = { text: null, busy: false };
    },
    /** The graph of the problem without what was judged, null where none is known. */
    graph: () => (found?.graph ? { ...found, steps: [] } : null),
    /** Whether the latest answer is about this text, or will not be about any. */
    knows: (text) => found !== null && !asked.busy && (Boolean(found.problem_error) || asked.text === text),
    /** Ask about a text where there is something new to ask. @returns whether `found` may have changed */
    async look(prompt, text, complete) {
      if (!wants(text, complete)) return false;
      const mine = { text, busy: true };
      asked = mine;
      const answer = await ask(prompt, text);
      if (mine !== asked) return false; // another text has begun meanwhile
      found = { ...answer, steps: answer.steps.map((step) => withWritten(step, text)) };
      asked.busy = false;
      return true;
    },
  };
}

/** A step with the number that it ends in: one that follows from a wrong value is correct, but not the true one. */
export function withWritten(step, text) {
  const [number] =
    [...text]
      .slice(step.start, step.end)
      .join("")
      .match(/\d+(?=\D*$)/) ?? [];
  return { ...step, written: number === undefined ? null : Number(number) };
}

/** The step in which a token ends, null where it is in none. @param {Step[]} steps */
export function stepAt(steps, tokens, index) {
  const end = [...textOf(tokens.slice(0, index + 1))].length;
  return steps.find((step) => step.start < end && end <= step.end + 1) ?? null;
}

/** What a whole answer is worth, in words, and what is wrong with it first. @param {Check} check */
export function verdictOf({ correct, answer_correct: answered, answer, expected, steps }) {
  const why = steps.find(({ verdict }) => verdict !== "correct")?.detail ?? "";
  if (correct) return { right: true, text: "✓ right", why };
  if (answered) return { right: false, text: "✗ answer right, a step is not", why };
  return { right: false, text: `✗ wrong${answer ? `: ${answer}, not ${expected}` : ""}`, why };
}
