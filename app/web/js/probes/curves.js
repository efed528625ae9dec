/** ROC curves and reliability diagrams, from the points that a card holds; null where it holds none. */

import { legendOf, plane } from "../charts.js";
import { percent } from "../colour.js";
import { h } from "../dom.js";

const SHARES = [0, 0.25, 0.5, 0.75, 1];
const axis = (label) => ({
  label,
  range: [0, 1],
  ticks: SHARES,
  format: (value) => percent(value),
});
const DIAGONAL = [
  { x: 0, y: 0 },
  { x: 1, y: 1 },
];

/** @param {{title: string, auroc: {value: number}, curves?: {roc: [number, number][]}}[]} domains */
export function rocFigure(domains) {
  const series = domains
    .filter(({ curves }) => curves?.roc.length)
    .map(({ title, auroc, curves }) => ({
      name: `${title}: AUROC ${auroc.value.toFixed(3)}`,
      line: true,
      bare: true,
      points: curves.roc.map(([x, y]) => ({ x, y })),
    }));
  if (!series.length) return null;
  const chance = { name: "chance", line: true, bare: true, colour: 5, points: DIAGONAL };
  return figure("The whole ROC curve", [...series, chance], axis("false alarms"), axis("recall"));
}

/** @param {{title: string, ece: {value: number}, curves?: {reliability: {mean_score: number, observed: number, rows: number}[]}}[]} domains */
export function reliabilityFigure(domains) {
  const series = domains
    .filter(({ curves }) => curves?.reliability.length)
    .map(({ title, ece, curves }) => ({
      name: `${title}: calibration error ${ece.value.toFixed(3)}`,
      line: true,
      points: curves.reliability.map(({ mean_score: x, observed: y, rows }) => ({
        x,
        y,
        title: `${title}: of ${rows.toLocaleString("en")} readings that it gives ${percent(x, 1)} on average, ${percent(y, 1)} are positive`,
      })),
    }));
  if (!series.length) return null;
  const ideal = { name: "promises kept", line: true, bare: true, colour: 5, points: DIAGONAL };
  return figure(
    "Reliability: bins of equally many readings",
    [...series, ideal],
    axis("mean probability"),
    axis("share of positives"),
  );
}

function figure(title, series, x, y) {
  const said = series.map(({ name, points }) => [name, ...points.map((one) => one.title).filter(Boolean)]);
  const label = `${title}. ${said.flat().join("; ")}.`;
  return h("figure", {}, h("figcaption", {}, title), plane({ label, x, y, series }), legendOf(series));
}
