/** What a new visitor finds in the forms: only what the served model can run. */

import { canRun } from "./catalogue.js";

const PLAIN = ["Once upon a time, there was a", "The best thing about the sea is"];
const FIRST_PROBLEM = 3; // seed of the problem that a new visitor sees

/** The play tab's first request; `draw` says which problem is drawn for it, null where there are none. */
export function firstRequest(catalogue) {
  const { corpus } = catalogue;
  return {
    prompt: corpus ? "" : PLAIN[0],
    seed: 1,
    strategies: [{ kind: firstStrategy(catalogue) }],
    colour: "entropy",
    draw: corpus && { op: beyond(corpus, 1), split: "test", seed: FIRST_PROBLEM },
  };
}

/** The one that shows most, and what it is best put beside. */
export function firstStrategy(catalogue) {
  return canRun(catalogue, "retry_upon_regret") ? "retry_upon_regret" : "sample";
}

/** A comparison that can be started as it is. */
export function firstComparison(catalogue) {
  const { corpus, model } = catalogue;
  const on = model.default ? {} : { model: model.id };
  const retries = [
    { name: "regret", strategy: { kind: "retry_upon_regret" } },
    { name: "coin", strategy: { kind: "random_retry" } },
  ];
  const cool = { name: "cool", strategy: { kind: "sample" }, temperature: 0.5 };
  return {
    arms: [
      { name: "greedy", strategy: { kind: "greedy" } },
      { name: "sample", strategy: { kind: "sample" } },
      ...(corpus && canRun(catalogue, "retry_upon_regret") ? retries : [cool]),
    ].map((arm) => ({ ...arm, ...on })),
    problems: corpus
      ? {
          source: "corpus",
          split: "validation",
          ops: [Math.max(corpus.ops.min, corpus.ops.trained_max - 1), beyond(corpus, 2)],
          count: 40,
        }
      : { source: "given", items: PLAIN.map((prompt) => ({ prompt })) },
    seed: 0,
    latency_problems: corpus ? 5 : 0,
  };
}

/** A size somewhat beyond what the model was trained on, where it is in doubt. */
const beyond = ({ ops }, more) => Math.min(ops.max, ops.trained_max + more);
