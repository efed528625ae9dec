/**
 * From a signal's value to one of nine levels of doubt. The colours of the levels stand in css/theme.css: their
 * lightness falls (or, on dark, rises) evenly, so that they are in order for every eye, and a bar under the
 * token grows with them.
 */

export const LEVELS = 9;

/**
 * 0 to 8; the higher, the more doubt, or for a probe the likelier what it stands for.
 * @param {{higher_means: "uncertain"|"certain"|"positive"}} signal
 */
export function levelOf(signal, value, [low, high]) {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  const doubt = signal.higher_means === "certain" ? 1 - share : share;
  return Math.min(LEVELS - 1, Math.floor(doubt * LEVELS));
}

/** A value in few figures, with its unit where that is not plain. */
export function format(value, unit = "") {
  if (value === null || value === undefined) return "–";
  if (unit === "probability") return percent(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size > 0 && size < 0.001) return "<0.001";
  return value.toFixed(size < 1 ? 3 : 2);
}

/** A share in per cent; what is neither nothing nor all is not written so. */
export function percent(share, digits = 0) {
  if (share === null || share === undefined) return "–";
  const least = 10 ** -digits / 100;
  if (share > 0 && share < least) return `<${(least * 100).toFixed(digits)}%`;
  if (share < 1 && share > 1 - least) return `>${(100 - least * 100).toFixed(digits)}%`;
  return `${(share * 100).toFixed(digits)}%`;
}
