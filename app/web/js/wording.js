/** What strategies did, in words. */

import { format, percent } from "./colour.js";
import { isProbe, readable } from "./schema.js";

const NOT_SAID = new Set(["text", "discarded", "restored", "set_aside"]);

/** Why tokens were taken back, in a few letters: "step_error 83%, limit 30%". */
export function reasonOf({ rule, detail }) {
  const { signal, value, threshold, when } = detail;
  if (signal !== undefined && value !== undefined) {
    const name = String(signal).replace("probe:", "");
    const figure = (number) => (String(signal).startsWith("probe:") ? percent(number) : format(number));
    const limit =
      threshold === undefined ? "" : `, ${when === "below" ? "least" : "limit"} ${figure(threshold)}`;
    return `${name} ${figure(value)}${limit}`;
  }
  if (detail.coin !== undefined) return `coin ${format(detail.coin)} < ${format(detail.probability)}`;
  return readable(rule);
}

/** The same as a sentence, with everything that is known. */
export function sentence({ rule, detail, position }) {
  const facts = Object.entries(detail)
    .filter(([name]) => !NOT_SAID.has(name))
    .map(([name, value]) => `${readable(name)} ${typeof value === "number" ? shortNumber(value) : value}`);
  return `${readable(rule)} at token ${position + 1}${facts.length ? ` (${facts.join(", ")})` : ""}`;
}

/** What stands beside a token that carries one of the few values of a sparse signal; "" for dense ones. */
export function badgeOf(signal, value) {
  return isProbe(signal.name) ? percent(value) : "";
}

/** "12 tokens", "1 token". */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** What a comparison is called: by its name, or else by its arms; by its id where a damaged one tells neither. */
export function nameOf({ id, name, arms }) {
  if (!name && !arms.length) return id;
  return (
    name ?? (arms.length > 4 ? `${arms.slice(0, 3).join(", ")} and ${arms.length - 3} more` : arms.join(", "))
  );
}

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const shortNumber = (value) =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
