/** What a comparison has found so far: charts and tables of its report. */

import { intervalTable, legendOf, plane, ticksBetween } from "../charts.js";
import { percent } from "../colour.js";
import { h } from "../dom.js";

const tenth = (value) => percent(value, 1);

/** @param {object} report GET /v1/compare/{id}/report.json */
export function resultsView(report) {
  const arms = report.arms.filter(({ tokens }) => tokens !== null);
  if (!arms.length) return h("p", { class: "hint" }, "No answers yet.");
  const judged = report.measure !== null && arms.some(({ accuracy }) => accuracy !== null);
  return h(
    "div",
    { class: "results" },
    judged
      ? h(
          "section",
          { class: "panel" },
          h("h2", {}, "What accuracy costs"),
          h("p", { class: "help" }, meaning(report)),
          h("div", { class: "columns" }, front(arms, report), accuracies(arms, report)),
        )
      : null,
    h("section", { class: "panel" }, h("h2", {}, "Arm by arm"), numbers(report)),
    report.warnings.length
      ? h(
          "section",
          { class: "panel" },
          h("h2", {}, "To keep in mind"),
          h(
            "ul",
            { class: "warnings" },
            report.warnings.map((warning) => h("li", {}, warning)),
          ),
        )
      : null,
  );
}

function meaning({ measure, common, problems }) {
  const what =
    measure === "solved"
      ? "Accuracy: every step and the answer are right."
      : "Accuracy: the answer is right.";
  return `${what} Tokens: all that were written, discarded ones too. ${common} of ${problems} problems are finished by every arm.`;
}

/** Accuracy against tokens; top left is best. */
function front(arms, { pareto }) {
  const onFront = new Set(pareto.filter(({ on_front: yes }) => yes).map(({ arm }) => arm));
  const shown = arms.filter(({ accuracy }) => accuracy !== null);
  const series = shown.map(({ name, accuracy, tokens }, index) => ({
    name,
    colour: index,
    tag: true,
    points: [
      {
        x: tokens.mean.value,
        y: accuracy.value,
        low: accuracy.low ?? accuracy.value,
        high: accuracy.high ?? accuracy.value,
        xLow: tokens.mean.low ?? tokens.mean.value,
        xHigh: tokens.mean.high ?? tokens.mean.value,
        title: `${name}: ${tenth(accuracy.value)} with ${tokens.mean.value.toFixed(0)} tokens${onFront.has(name) ? ", on the Pareto front" : ""}`,
      },
    ],
  }));
  const highest = Math.max(...series.map(({ points: [point] }) => point.xHigh)) * 1.12;
  const lowest = Math.max(0, Math.min(...series.map(({ points: [point] }) => point.low)) - 0.05);
  const floor = Math.floor(lowest * 10) / 10;
  const chart = plane({
    label: `Accuracy against tokens. ${series.map(({ points: [{ title }] }) => title).join("; ")}`,
    width: 520,
    height: 320,
    x: {
      label: "tokens per problem",
      range: [0, highest],
      ticks: ticksBetween(0, highest),
      format: (value) => value.toLocaleString("en"),
    },
    y: {
      label: "accuracy",
      range: [floor, 1],
      ticks: ticksBetween(floor, 1),
      format: (value) => percent(value),
    },
    series,
  });
  return h(
    "figure",
    {},
    h("figcaption", {}, "Accuracy against tokens, with 95% intervals"),
    chart,
    legendOf(series),
  );
}

function accuracies(arms, { baseline }) {
  const rows = arms
    .filter(({ accuracy }) => accuracy !== null)
    .map(({ name, accuracy }) => ({ label: name, ...accuracy, kind: name === baseline ? "own" : "" }));
  return intervalTable({ caption: "Accuracy", rows, range: [0, 1], format: tenth });
}

function numbers(report) {
  const against = new Map(report.against_baseline.map((pair) => [pair.arm, pair]));
  const head = [
    "",
    "problems",
    "accuracy",
    "tokens",
    "discarded",
    `against ${report.baseline}`,
    "adjusted p",
    "tokens, ratio",
    "seconds alone",
  ];
  const body = report.arms.map((arm) => {
    const pair = against.get(arm.name);
    return h(
      "tr",
      { class: arm.name === report.baseline ? "own" : "" },
      h("th", { scope: "row" }, arm.name),
      h("td", {}, arm.problems),
      estimate(arm.accuracy, tenth),
      estimate(arm.tokens?.mean, (value) => value.toFixed(0)),
      h("td", {}, arm.discarded ? arm.discarded.mean.value.toFixed(0) : "–"),
      difference(pair),
      h("td", {}, pair?.p_adjusted === undefined || pair.p_adjusted === null ? "–" : small(pair.p_adjusted)),
      estimate(pair?.token_ratio, (value) => value.toFixed(2)),
      estimate(arm.latency.alone?.median, (value) => value.toFixed(2)),
    );
  });
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": "Figures of every arm" },
    h(
      "table",
      { class: "plain numbers" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((name) => (name ? h("th", { scope: "col" }, name) : h("td", {}))),
        ),
      ),
      h("tbody", {}, body),
    ),
  );
}

function difference(pair) {
  if (!pair?.difference) return h("td", {}, "–");
  const points = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value * 100).toFixed(1)}`;
  const { value, low, high } = pair.difference;
  const mark = { better: "right", worse: "wrong" }[pair.verdict] ?? "";
  return h(
    "td",
    {},
    h("span", { class: mark && `verdict ${mark}` }, `${points(value)} ${pair.verdict ?? ""}`),
    h("span", { class: "between" }, ` (${points(low)} to ${points(high)})`),
  );
}

function estimate(found, format) {
  if (!found) return h("td", {}, "–");
  const between =
    found.low === null || found.low === undefined ? "" : ` (${format(found.low)} to ${format(found.high)})`;
  return h("td", {}, format(found.value), h("span", { class: "between" }, between));
}

const small = (p) => (p < 0.001 ? "<0.001" : p.toFixed(3));
