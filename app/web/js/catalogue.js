/** What the server offers: everything that forms and views are built from. */

import { ApiError, get, outside } from "./api.js";
import { ofModel } from "./models.js";

/**
 * @typedef {{name: string, modulus: number,
 *   ops: {name: string, label: string, meaning: string, min: number, max: number, trained_max: number},
 *   splits: string[], [more: string]: any}} Corpus
 * @param {{id: string, default: boolean}} asked the model that they are of
 * @returns what the catalogues say, and `corpus`: what problems are drawn from, or null where the model has none
 */
export async function readCatalogue(asked) {
  // What loads it, if need be, comes first: only then there is something to say of it.
  const signals = await get(ofModel("signals", asked));
  const [models, strategies, probes, openapi] = await Promise.all([
    get("models"),
    get(ofModel("strategies", asked)),
    get(ofModel("probes", asked)),
    outside("openapi.json").then((answer) => answer.json()),
  ]);
  const model = models.data.find(({ id }) => id === asked.id);
  return {
    model,
    models: models.data,
    strategies: strategies.data,
    signals: signals.data,
    probes: probes.data,
    openapi,
    corpus: await corpusOf(model, openapi),
    theme: () => document.documentElement.dataset.theme,
  };
}

/** A strategy that the served model can run as it is, without a probe or a calibration that is not there. */
export function canRun({ strategies }, kind) {
  return strategies.some((strategy) => strategy.kind === kind && !strategy.unavailable);
}

/** @returns {Promise<Corpus|null>} null without a request where the model's card names no corpus */
async function corpusOf(model, openapi) {
  const { card } = model;
  if (!card.corpus?.name) return null;
  try {
    const { sizes } = await get(ofModel("problems?count=1", model));
    return { ...card.corpus, ops: sizes, splits: splitsOf(openapi) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null; // of another kind than the server knows
    throw error;
  }
}

function splitsOf(openapi) {
  const { parameters } = openapi.paths["/v1/problems"].get;
  return parameters.find(({ name }) => name === "split").schema.enum;
}
