/** Where in the model it can be read: the sweep over layers that a probe was chosen from. */

import { legendOf, plane, ticksBetween } from "../charts.js";
import { h } from "../dom.js";
import { readable } from "../schema.js";

/** @param {{family: string, layers: number[], position: string, signals: boolean, auroc: object, chosen: boolean}[]} sweep */
export function layersPart(sweep) {
  const single = sweep.filter(({ layers, auroc }) => layers.length === 1 && auroc.value !== null);
  const positions = [...new Set(single.map(({ position }) => position))];
  const charts = positions.map((position) => {
    const here = single.filter((entry) => entry.position === position);
    const kinds = [...new Set(here.map(kindOf))].slice(0, 6);
    const series = kinds.map((kind) => ({
      name: kind,
      line: true,
      points: here
        .filter((entry) => kindOf(entry) === kind)
        .sort((one, other) => one.layers[0] - other.layers[0])
        .map(({ layers: [layer], auroc }) => ({
          x: layer,
          y: auroc.value,
          low: auroc.low,
          high: auroc.high,
          title: `${kind}, layer ${layer}: ${auroc.value.toFixed(3)}`,
        })),
    }));
    const highest = Math.max(...here.map(({ layers }) => layers[0]), 1);
    const lowest = Math.min(0.5, ...here.map(({ auroc }) => auroc.low));
    const floor = Math.floor(lowest * 10) / 10;
    const chart = plane({
      label: `AUROC by layer, read at ${position}. ${series.flatMap(({ points }) => points.map(({ title }) => title)).join("; ")}`,
      x: {
        label: "layer (0: the embedding)",
        range: [-0.2, highest + 0.2],
        ticks: Array.from({ length: highest + 1 }, (_, layer) => layer),
        format: String,
      },
      y: {
        label: "AUROC, validation part",
        range: [floor, 1],
        ticks: ticksBetween(floor, 1),
        format: (value) => value.toFixed(1),
      },
      series,
    });
    return h("figure", {}, h("figcaption", {}, `Read at the step's ${position}`), chart, legendOf(series));
  });
  const joint = sweep.filter(({ layers }) => layers.length !== 1);
  const chosen = sweep.find((entry) => entry.chosen);
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Where can it be read?"),
    h(
      "p",
      { class: "help" },
      chosen
        ? `Chosen: ${kindOf(chosen)}, ${layersOf(chosen)}, read at ${chosen.position}, AUROC ${chosen.auroc.value.toFixed(3)}.`
        : "The sweep that the probe was chosen from.",
    ),
    charts.length ? h("div", { class: "columns" }, charts) : null,
    joint.length ? table(joint) : null,
  );
}

function table(entries) {
  return h(
    "details",
    {},
    h("summary", {}, `Several layers together, or none (${entries.length})`),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": "Several layers together" },
      h(
        "table",
        { class: "plain" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["family", "layers", "read at", "AUROC"].map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          entries.map((entry) =>
            h(
              "tr",
              { class: entry.chosen ? "own" : "" },
              h("th", { scope: "row" }, kindOf(entry)),
              h("td", {}, layersOf(entry)),
              h("td", {}, entry.position),
              h("td", {}, entry.auroc.value === null ? "–" : entry.auroc.value.toFixed(3)),
            ),
          ),
        ),
      ),
    ),
  );
}

const kindOf = ({ family, signals }) => `${readable(family)}${signals ? " + signals" : ""}`;
const layersOf = ({ layers }) =>
  layers.length ? `layer${layers.length > 1 ? "s" : ""} ${layers.join(", ")}` : "no layer";
