/** Charts with intervals: as a table with marks in it, or as a plane of points. */

import { h, s } from "./dom.js";

const TAG = 13; // height of a name beside a point
const MARKERS = [circle, square, triangle, diamond, down, cross];

/**
 * Values with their intervals, one row each; a table, so that it can be read without seeing it.
 * @param {{caption: string, rows: {label: string, value: number|null, low: number, high: number, kind?: string}[],
 *   range: [number, number], format: (value: number) => string, reference?: number}} chart
 */
export function intervalTable({ caption, rows, range: [low, high], format, reference }) {
  const share = (value) => `${(100 * Math.min(1, Math.max(0, (value - low) / (high - low)))).toFixed(2)}%`;
  const row = (item) => {
    const track = h("span", { class: "track" });
    if (reference !== undefined) track.append(at(h("span", { class: "reference" }), share(reference)));
    if (item.value !== null) {
      const line = at(h("span", { class: "interval" }), share(item.low));
      line.style.inlineSize = `calc(${share(item.high)} - ${share(item.low)})`;
      track.append(line, at(h("span", { class: "point" }), share(item.value)));
    }
    const said = item.value === null ? "–" : format(item.value);
    const between = item.value === null ? "" : `${format(item.low)} to ${format(item.high)}`;
    return h(
      "tr",
      { class: item.kind ?? "" },
      h("th", { scope: "row" }, item.label),
      h("td", { class: "track-cell", "aria-hidden": "true" }, track),
      h("td", { class: "number" }, said),
      h("td", { class: "number between" }, between),
    );
  };
  return h(
    "table",
    { class: "interval-table" },
    h("caption", {}, caption),
    h(
      "thead",
      { class: "visually-hidden" },
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "of"),
        h("td", {}),
        h("th", { scope: "col" }, "value"),
        h("th", { scope: "col" }, "95% interval"),
      ),
    ),
    h("tbody", {}, rows.map(row)),
  );
}

/**
 * Points in a plane, with intervals both ways and lines where wanted.
 * @typedef {{x: number, y: number, low?: number, high?: number, xLow?: number, xHigh?: number, title?: string}} Point
 * @param {{label: string, width?: number, height?: number,
 *   x: {label: string, range: [number, number], ticks: number[], format: (value: number) => string},
 *   y: {label: string, range: [number, number], ticks: number[], format: (value: number) => string},
 *   series: {name: string, points: Point[], line?: boolean, bare?: boolean, tag?: boolean, colour?: number}[]}} chart
 *   bare: a line without marks at its points.
 */
export function plane({ label, width: widest = 460, height = 270, x, y, series }) {
  const width = Math.min(widest, Math.max(300, innerWidth - 64)); // letters keep their size on a phone
  const box = { left: 52, right: width - 14, top: 12, bottom: height - 44 };
  const px = scale(x.range, [box.left, box.right]);
  const py = scale(y.range, [box.bottom, box.top]);
  const picture = s("svg", {
    class: "plane",
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": label,
  });
  for (const tick of y.ticks) {
    picture.append(
      s("line", { class: "grid", x1: box.left, x2: box.right, y1: py(tick), y2: py(tick) }),
      s("text", { class: "tick", x: box.left - 8, y: py(tick) + 4, "text-anchor": "end" }, y.format(tick)),
    );
  }
  for (const tick of x.ticks)
    picture.append(
      s("text", { class: "tick", x: px(tick), y: box.bottom + 18, "text-anchor": "middle" }, x.format(tick)),
    );
  picture.append(
    s(
      "text",
      { class: "axis-label", x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" },
      x.label,
    ),
    s(
      "text",
      {
        class: "axis-label",
        transform: `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`,
        "text-anchor": "middle",
      },
      y.label,
    ),
  );
  for (const [index, one] of series.entries()) picture.append(drawn(one, index, px, py));
  picture.append(...tagsOf(series, px, py, box));
  return picture;
}

/** What belongs to which colour and mark. */
export function legendOf(series) {
  return h(
    "p",
    { class: "chart-legend" },
    series.map((one, index) => {
      const colour = one.colour ?? index;
      const mark = s(
        "svg",
        {
          viewBox: "-6 -6 12 12",
          width: 12,
          height: 12,
          "aria-hidden": "true",
          class: `series c${colour % 6}`,
        },
        MARKERS[colour % 6](0, 0),
      );
      return h("span", { class: "key" }, mark, one.name);
    }),
  );
}

/** Round numbers between two values, some five of them. */
export function ticksBetween(low, high, about = 5) {
  const raw = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

/** @param {{name: string, points: Point[], line?: boolean, bare?: boolean, colour?: number}} series */
function drawn({ name, points, line, bare, colour }, index, px, py) {
  const look = (colour ?? index) % 6;
  const group = s("g", { class: `series c${look}` });
  if (line)
    group.append(
      s("path", {
        class: "line",
        d: points.map((point, at) => `${at ? "L" : "M"}${px(point.x)} ${py(point.y)}`).join(""),
      }),
    );
  for (const point of bare ? [] : points) {
    const mark = s("g", {}, s("title", {}, point.title ?? name));
    if (point.low !== undefined)
      mark.append(
        s("line", {
          class: "whisker",
          x1: px(point.x),
          x2: px(point.x),
          y1: py(point.low),
          y2: py(point.high),
        }),
      );
    if (point.xLow !== undefined)
      mark.append(
        s("line", {
          class: "whisker",
          x1: px(point.xLow),
          x2: px(point.xHigh),
          y1: py(point.y),
          y2: py(point.y),
        }),
      );
    mark.append(MARKERS[look](px(point.x), py(point.y)));
    group.append(mark);
  }
  return group;
}

/** Names beside their points, each moved down until it covers no other. */
function tagsOf(series, px, py, box) {
  const placed = [];
  const tags = series
    .filter(({ tag }) => tag)
    .map(({ name, points: [point] }) => ({ name, x: px(point.x), y: py(point.y) - 7 }));
  for (const tag of tags.sort((one, other) => one.y - other.y)) {
    tag.end = tag.x > (box.left + 2 * box.right) / 3;
    while (
      placed.some(
        (other) => other.end === tag.end && Math.abs(other.x - tag.x) < 90 && Math.abs(other.y - tag.y) < TAG,
      )
    )
      tag.y += 2;
    placed.push(tag);
  }
  return placed.map(({ name, x, y, end }) =>
    s("text", { class: "tag", x: end ? x - 10 : x + 10, y, "text-anchor": end ? "end" : "start" }, name),
  );
}

const scale =
  ([low, high], [from, to]) =>
  (value) =>
    from + ((to - from) * (value - low)) / (high - low || 1);

function at(element, share) {
  element.style.insetInlineStart = share;
  return element;
}

function circle(x, y) {
  return s("circle", { class: "marker", cx: x, cy: y, r: 4.5 });
}
function square(x, y) {
  return s("rect", { class: "marker", x: x - 4, y: y - 4, width: 8, height: 8 });
}
function triangle(x, y) {
  return s("path", { class: "marker", d: `M${x} ${y - 5}l5 9h-10z` });
}
function diamond(x, y) {
  return s("path", { class: "marker", d: `M${x} ${y - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z` });
}
function down(x, y) {
  return s("path", { class: "marker", d: `M${x} ${y + 5}l5 -9h-10z` });
}
function cross(x, y) {
  return s("path", { class: "marker", d: `M${x - 1.5} ${y - 5}h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z` });
}
