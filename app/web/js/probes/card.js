/** One probe's card. What its evidence does not hold is left out, never guessed. */

import { intervalTable, legendOf, plane } from "../charts.js";
import { percent } from "../colour.js";
import { h, prose } from "../dom.js";
import { readable } from "../schema.js";
import { reliabilityFigure, rocFigure } from "./curves.js";
import { layersPart } from "./layers.js";

const DOMAINS = { id: "Sizes it was trained on", ood: "Larger problems" };
/** @type {[string, number][]} */
const RATES = [
  ["recall_at_1", 0.01],
  ["recall_at_5", 0.05],
  ["recall_at_10", 0.1],
];
const auroc = (value) => value.toFixed(3);

export function cardView({ name, signal, card }, { description }) {
  const { evaluation, making, data, origin } = card.evidence;
  const domains = Object.values(evaluation?.domains ?? {});
  return h(
    "article",
    { class: "probe-card", "aria-labelledby": "probe-title" },
    h(
      "header",
      { class: "panel intro" },
      h("h2", { id: "probe-title" }, readable(name)),
      h("p", { class: "positive" }, card.positive),
      h(
        "p",
        { class: "help" },
        `${reading(description)} Ask for it as the signal `,
        h("code", {}, signal),
        ".",
      ),
      facts(card),
    ),
    domains.length
      ? discrimination(domains)
      : h("p", { class: "panel hint" }, "This card holds no evaluation."),
    domains.length ? alarms(domains) : null,
    domains.length ? calibration(domains, evaluation) : null,
    making?.sweep ? layersPart(making.sweep) : null,
    provenance(card, data, origin),
  );
}

const reading = (description) => (description.match(/Read at .*?other token\./) ?? [""])[0];

function facts(card) {
  const layers =
    card.layers.length === 0
      ? "none"
      : card.layers.length > 2
        ? `${card.layers[0]} to ${card.layers.at(-1)}`
        : card.layers.join(", ");
  const rows = [
    ["layers", `${layers} of ${card.checkpoint.n_layers}`],
    ["pooling", card.pooling === "none" ? "the token alone" : `${card.pooling} over the step`],
    ["sees signals", card.signals ? "yes" : "no"],
    ["family", readable(card.family)],
    ["calibration", card.calibration.kind],
    ["licence", card.licence],
  ];
  return h(
    "dl",
    { class: "facts" },
    rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

function discrimination(domains) {
  const tables = domains.map(({ domain, metrics, comparisons, problems, positives, rows }) => {
    const all = [
      { label: "this probe", ...metrics.auroc, kind: "own" },
      ...comparisons.map((other) => ({
        label: readable(other.name),
        ...other.metrics.auroc,
        kind: other.kind,
      })),
    ];
    return h(
      "div",
      {},
      intervalTable({ caption: titleOf(domain), rows: all, range: [0.4, 1], format: auroc, reference: 0.5 }),
      h(
        "p",
        { class: "help" },
        `${rows.toLocaleString("en")} readings, ${positives.toLocaleString("en")} positive, ${problems.toLocaleString("en")} problems of the test split.`,
      ),
    );
  });
  return part(
    "Does it tell right from wrong?",
    "AUROC with 95% intervals, resampled by problem. Baselines cost nothing. Controls are in italics: shuffled labels, the embedding alone and random weights ought to fail; labels given to each noun at random show what such a probe can learn by heart. The dashed line is chance, 0.5.",
    h("div", { class: "columns" }, tables),
  );
}

/** The ROC curve where it matters, three points of it with their intervals, and the whole of it. */
function alarms(domains) {
  const charts = domains.map(({ domain, metrics, comparisons }) => {
    const free = ["signals_logistic", "entropy", "mentions"]
      .map((name) => comparisons.find((other) => other.name === name))
      .filter(Boolean);
    const series = [
      { name: "this probe", metrics },
      ...free.map((other) => ({ name: readable(other.name), metrics: other.metrics })),
    ].map((one) => ({
      name: one.name,
      line: true,
      points: RATES.map(([key, rate]) => ({ rate, ...one.metrics[key] }))
        .filter(({ value }) => value !== null)
        .map(({ rate, value, low, high }) => ({
          x: rate,
          y: value,
          low,
          high,
          title: `${one.name}: recall ${percent(value, 1)} (${percent(low, 1)} to ${percent(high, 1)}) at ${percent(rate)} false alarms`,
        })),
    }));
    const chart = plane({
      label: `${titleOf(domain)}. ${series.map(({ points }) => points.map(({ title }) => title).join("; ")).join(". ")}`,
      x: {
        label: "false alarms",
        range: [0, 0.105],
        ticks: RATES.map(([, rate]) => rate),
        format: (value) => percent(value),
      },
      y: {
        label: "recall",
        range: [0, 1],
        ticks: [0, 0.25, 0.5, 0.75, 1],
        format: (value) => `${value * 100}%`,
      },
      series,
    });
    return h("figure", {}, h("figcaption", {}, titleOf(domain)), chart, legendOf(series));
  });
  return part(
    "What does it catch at few false alarms?",
    "ROC at 1, 5 and 10% false alarms, with 95% intervals, beside what costs nothing; then all of it.",
    h("div", { class: "columns" }, charts, rocFigure(domains.map(curvesOf))),
  );
}

function calibration(domains, evaluation) {
  const rows = domains.map(({ domain, metrics }) =>
    h("tr", {}, h("th", { scope: "row" }, titleOf(domain)), estimate(metrics.ece), estimate(metrics.brier)),
  );
  const drift = (evaluation.calibration_drift ?? []).map(({ label, ece, brier }) =>
    h("tr", {}, h("th", { scope: "row" }, readable(label)), estimate(ece), estimate(brier)),
  );
  const errors = h(
    "table",
    { class: "plain" },
    h("caption", {}, "How far promises are from what comes"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td", {}),
        h("th", { scope: "col" }, "expected calibration error"),
        h("th", { scope: "col" }, "Brier score"),
      ),
    ),
    h("tbody", {}, rows, drift),
  );
  const sets = evaluation.thresholds[0]?.measured.map(({ rows: name }) => name) ?? [];
  const thresholds = h(
    "table",
    { class: "plain" },
    h("caption", {}, "False alarms and recall of its thresholds"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "asked"),
        h("th", { scope: "col" }, "threshold"),
        sets.map((name) => h("th", { scope: "col" }, titleOf(readable(name)))),
      ),
    ),
    h(
      "tbody",
      {},
      evaluation.thresholds.map(({ asked, threshold, measured }) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, percent(asked)),
          h("td", {}, threshold.toFixed(3)),
          measured.map((one) =>
            h("td", {}, `${percent(one.false_alarm_rate, 1)} · ${percent(one.recall, 1)}`),
          ),
        ),
      ),
    ),
  );
  return part(
    "Is its probability true?",
    "A calibrated probability is what comes in the end, on average. Brackets are 95% intervals.",
    h(
      "div",
      { class: "columns" },
      reliabilityFigure(domains.map(curvesOf)),
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Calibration errors" }, errors),
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Thresholds" }, thresholds),
    ),
  );
}

function provenance(card, data, origin) {
  const rows = [
    ["weights", card.checkpoint.weights.slice(0, 16)],
    ["tensors", card.tensors.slice(0, 16)],
    ...Object.entries(data ?? {})
      .filter(([, part]) => part?.completions)
      .map(([name, part]) => [
        `${name} data`,
        `${part.completions.toLocaleString("en")} completions, sha256 ${part.sha256.slice(0, 12)}`,
      ]),
    ...Object.entries(origin ?? {}).map(([name, value]) => [
      name,
      name === "commit" ? String(value).slice(0, 12) : String(value),
    ]),
  ];
  return part(
    "Where it comes from",
    "",
    h(
      "dl",
      { class: "facts wide" },
      rows.map(([name, value]) => h("div", {}, h("dt", {}, readable(name)), h("dd", {}, value))),
    ),
  );
}

function part(title, note, content) {
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, title),
    note ? h("p", { class: "help" }, prose(note)) : null,
    content,
  );
}

function estimate({ value, low, high }) {
  if (value === null) return h("td", {}, "–");
  return h(
    "td",
    {},
    value.toFixed(4),
    h("span", { class: "between" }, ` (${low.toFixed(4)} to ${high.toFixed(4)})`),
  );
}

const curvesOf = ({ domain, metrics, curves }) => ({ title: titleOf(domain), ...metrics, curves });
const titleOf = (domain) => domain.replace(/^(id|ood)\b/, (name) => DOMAINS[name]);
