/** Between which values a signal is coloured. It depends on the model alone, so a colour means the same in every run. */

const CONFIDENCE_TOP = 20; // of the likeliest tokens, over which `confidence` is a mean

/**
 * Probabilities have all of 0 to 1. Other signals end at the most doubtful token of the model's calibration, and
 * begin at 0 or, if more means certain, at the median token; without a calibration they end where a model that
 * knows nothing of its V tokens would be.
 * @param {{name: string, unit: string, higher_means: string, quantiles?: number[]|null}} signal
 * @param {number} vocabulary V, how many tokens there are
 * @returns {{low: number, high: number, open: boolean, note: string}} `open`: values beyond the doubtful end occur
 */
export function scaleOf(signal, vocabulary) {
  if (signal.unit === "probability") return { low: 0, high: 1, open: false, note: "" };
  return calibrated(signal) ?? natural(signal, Math.log(vocabulary));
}

/** @returns {{low: number, high: number, open: boolean, note: string}|null} */
function calibrated({ quantiles = null, higher_means: means }) {
  if (!quantiles) return null;
  const median = quantiles[(quantiles.length - 1) / 2];
  const [low, high] = means === "certain" ? [quantiles[0], median] : [0, quantiles.at(-1)];
  const note = "The strongest colour is that of the calibration's most doubtful token.";
  return high > low ? { low, high, open: true, note } : null;
}

function natural({ name, unit, higher_means: means }, most) {
  if (means === "certain") {
    // From the likeliest tokens equally likely to others as unlikely as 1 in V squared.
    const low = Math.min(Math.log(CONFIDENCE_TOP), most);
    return { low, high: Math.max(2 * most, low + 1), open: true, note: "" };
  }
  // A variance is largest, about (ln V)²/4, where one token has half of the probability and all others the rest.
  if (unit === "nats^2")
    return { low: 0, high: most ** 2 / 4, open: true, note: "The scale ends at (ln V)²/4." };
  const note = "The scale ends at ln V, where all of the vocabulary is equally likely.";
  return { low: 0, high: most, open: name !== "entropy", note };
}
