/** What was expected of each number and what came, on one line: the ranges, and the interval among them. */

import { h } from "../dom.js";

/** @param {{meaning: string, percent: boolean, supported: object, refuted: object[], measured: object|null,
 *   by_seed: object, verdict: string}[]} criteria */
export function expectations(criteria) {
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "What was expected, and what came"),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Numbers that decide" },
      h(
        "table",
        { class: "plain expectations" },
        h(
          "thead",
          {},
          h("tr", {}, ...["number", "supports", "refutes", "", "measured", "says"].map(heading)),
        ),
        h("tbody", {}, criteria.map(row)),
      ),
    ),
    h(
      "p",
      { class: "help" },
      "Green: the range that supports. Red: one that refutes. The bar is the 95% interval over all seeds, and it must lie in a range as a whole.",
    ),
  );
}

const heading = (name) => (name ? h("th", { scope: "col" }, name) : h("td", {}));

function row(criterion) {
  const { meaning, percent, supported, refuted, measured, verdict } = criterion;
  const figure = (value) => (percent ? `${(100 * value).toFixed(1)}%` : value.toFixed(2));
  const came = measured ? figure(measured.value) + between(measured, figure) : "–";
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, meaning),
    h("td", {}, rangeInWords(supported, figure)),
    h("td", {}, refuted.map((range) => rangeInWords(range, figure)).join(" or ") || "nothing"),
    h("td", { class: "expected-track", "aria-hidden": "true" }, track(criterion)),
    h("td", {}, came),
    h("td", {}, h("span", { class: `verdict ${verdict}` }, measured ? verdict : "not measured yet")),
  );
}

/** The interval, where there is one. */
function between({ low, high }, figure) {
  return low === null || high === null ? "" : ` (${figure(low)} to ${figure(high)})`;
}

/** Such as "25.0% or more". */
export function rangeInWords({ low, high }, figure) {
  if (low !== null && high !== null) return `${figure(low)} to ${figure(high)}`;
  return low !== null ? `${figure(low)} or more` : `${figure(high)} or less`;
}

function track({ percent, supported, refuted, measured }) {
  const ends = [supported, ...refuted, measured ?? {}]
    .flatMap(({ low, high }) => [low, high])
    .filter((end) => typeof end === "number");
  const low = Math.min(0, ...ends);
  const high = percent ? 1 : 1.15 * Math.max(...ends);
  const place = (value) => Math.min(1, Math.max(0, (value - low) / (high - low)));
  const zone = (kind, range) => span(kind, place(range.low ?? low), place(range.high ?? high));
  const marks = [zone("zone supports", supported), ...refuted.map((range) => zone("zone refutes", range))];
  if (measured) {
    if (measured.low !== null && measured.high !== null) marks.push(zone("interval", measured));
    marks.push(span("point", place(measured.value), place(measured.value)));
  }
  return h("span", { class: "track" }, marks);
}

function span(kind, from, to) {
  const made = h("span", { class: kind });
  made.style.insetInlineStart = `${(100 * from).toFixed(2)}%`;
  if (kind !== "point") made.style.inlineSize = `${(100 * (to - from)).toFixed(2)}%`;
  return made;
}
