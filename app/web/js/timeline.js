/** The signals under the text, token by token, and where it was cut back. */

import uPlot from "../vendor/uplot/uPlot.js";
import { format } from "./colour.js";
import { h, themed } from "./dom.js";

const HEIGHT = 132;
const Plot = /** @type {any} */ (uPlot); // which comes without types

/** @param {(index: number|null) => void} onHover */
export function timelineView(onHover) {
  const place = h("div", { class: "chart" });
  const legend = h("figcaption", { class: "chart-legend" });
  const element = h("figure", { class: "timeline" }, place, legend);
  let plot = null;
  let drawn = "";
  let latest = null;
  let quiet = false;

  const resized = new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: HEIGHT }));
  resized.observe(place);

  function make({ left, right }) {
    plot?.destroy();
    const ink = themed("--ink-2");
    const axis = {
      stroke: ink,
      font: "11px Inter",
      ticks: { show: false },
      border: { show: false },
      grid: { stroke: themed("--line"), width: 1 },
    };
    const line = (scale, colour, sparse) => ({
      scale,
      stroke: colour,
      width: 1.75,
      spanGaps: false,
      paths: sparse ? () => null : undefined,
      points: { show: sparse, size: 7, fill: colour, stroke: colour },
    });
    plot = new Plot(
      {
        width: place.clientWidth || 300,
        height: HEIGHT,
        legend: { show: false },
        padding: [10, right ? 0 : 8, 0, 0],
        cursor: { y: false, points: { size: 7 }, drag: { setScale: false, x: false, y: false } },
        scales: {
          x: { time: false, range: (_, low, high) => [low - 0.5, Math.max(high, low + 8) + 0.5] },
          left: {
            range: (_, __, high) => [
              0,
              left.unit === "probability" ? 1.02 : Math.max(latest.top, (high ?? 0) * 1.05),
            ],
          },
          right: { range: [0, 1.02] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 24,
            values: (_, at) => at.map((value) => (Number.isInteger(value) ? value + 1 : "")),
          },
          {
            ...axis,
            scale: "left",
            size: 40,
            values: (_, at) =>
              at.map((value) => (left.unit === "probability" ? `${Math.round(value * 100)}%` : value)),
          },
          ...(right
            ? [
                {
                  ...axis,
                  scale: "right",
                  side: 1,
                  size: 42,
                  grid: { show: false },
                  values: (_, at) => at.map((value) => `${Math.round(value * 100)}%`),
                },
              ]
            : []),
        ],
        series: [
          {},
          line("left", themed("--series-1"), left.sparse),
          ...(right ? [line("right", themed("--series-2"), true)] : []),
        ],
        hooks: {
          setCursor: [(u) => !quiet && onHover(u.cursor.idx ?? null)],
          draw: [drawCuts],
        },
      },
      latest.data,
      place,
    );
    legend.replaceChildren(
      key("series-1", left.sparse, left.name),
      right ? key("series-2", true, right.name) : "",
      h("span", { class: "key" }, h("span", { class: "swatch cut", "aria-hidden": "true" }), "cut back"),
    );
  }

  function drawCuts(u) {
    const { ctx } = u;
    ctx.save();
    ctx.strokeStyle = themed("--wrong");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const position of latest.cuts) {
      const x = Math.round(u.valToPos(position - 0.5, "x", true));
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  return {
    element,
    /**
     * @param {{tokens: import("./live.js").Token[], cuts: number[], left: object, right: object|null, top: number,
     *   theme: string}} model `top`: the left axis reaches at least so far
     */
    render({ tokens, cuts, left, right, top, theme }) {
      const column = (signal) => tokens.map((token) => token.signals[signal.name] ?? null);
      const data = [tokens.map((_, index) => index), column(left), ...(right ? [column(right)] : [])];
      latest = { data, cuts, top };
      const look = [left.name, right?.name, theme].join();
      if (look !== drawn || !plot) {
        drawn = look;
        make({ left, right });
      } else {
        plot.setData(data);
      }
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", summary(left, data[1], cuts));
    },
    /** Put the line of the cursor at a token. */
    select(index) {
      if (!plot) return;
      quiet = true;
      const at = index === null ? { left: -10, top: -10 } : { left: plot.valToPos(index, "x"), top: 20 };
      plot.setCursor(at, false);
      quiet = false;
    },
  };
}

function key(name, dots, label) {
  const swatch = h("span", { class: `swatch ${name}${dots ? " dot" : ""}`, "aria-hidden": "true" });
  return h("span", { class: "key" }, swatch, label.replace("probe:", ""));
}

function summary(signal, values, cuts) {
  const known = values.filter((value) => value !== null);
  const highest = known.length ? Math.max(...known) : null;
  const where = known.length ? `, at token ${values.indexOf(highest) + 1}` : "";
  return `${signal.name} over ${values.length} tokens; highest ${format(highest, signal.unit)}${where}; cut back ${cuts.length} times`;
}
