/** The graph of a problem: what depends on what, and which quantities are solved, rightly or not. */

import dagre from "../vendor/dagre/dagre.js";
import { h, s } from "./dom.js";

const HEIGHT = 40;
const LETTER = 7.2;

/** A view of the answers of POST /v1/problems/check. */
export function graphView() {
  const picture = h("div", {
    class: "graph-picture",
    tabindex: 0,
    role: "group",
    "aria-label": "Graph of the problem",
  });
  const words = h("ul", { class: "visually-hidden" });
  const note = h("p", { class: "hint" });
  const element = h("figure", { class: "graph" }, picture, words, note);
  let drawn = "";
  let nodes = new Map();

  function draw(graph) {
    const layout = arrange(graph);
    const { width, height } = layout.graph();
    const svg = s("svg", { viewBox: `-1 -1 ${width + 2} ${height + 2}`, "aria-hidden": "true" });
    svg.style.maxInlineSize = `${width + 2}px`;
    svg.style.minInlineSize = `${Math.min(400, width + 2)}px`; // below that it scrolls, or letters get too small
    for (const edge of layout.edges()) {
      const { points } = layout.edge(edge);
      svg.append(s("path", { class: "edge", d: smooth(points) }));
    }
    nodes = new Map();
    for (const quantity of graph.quantities) {
      const node = nodeElement(quantity, layout.node(quantity.name), quantity.name === graph.question);
      nodes.set(quantity.name, node);
      svg.append(node.element);
    }
    picture.replaceChildren(svg);
  }

  return {
    element,
    /**
     * @param {object|null} check the answer of the route, or null before there is one
     * @param {Map<string, string>} notes what to write behind the names of quantities
     */
    render(check, notes = new Map()) {
      const why = check?.unasked
        ? "Steps are not judged"
        : "Not a problem of the corpus, so steps are not judged";
      note.textContent = check?.problem_error ? `${why}: ${check.problem_error}` : "";
      if (!check?.graph) {
        if (check) picture.replaceChildren();
        drawn = "";
        return;
      }
      const key = JSON.stringify(check.graph);
      if (key !== drawn) draw(check.graph);
      drawn = key;
      const steps = new Map();
      for (const step of check.steps)
        if (step.quantity && !steps.has(step.quantity)) steps.set(step.quantity, step);
      for (const quantity of check.graph.quantities) {
        const { name } = quantity;
        nodes.get(name).state(steps.get(name), notes.get(name));
      }
      words.replaceChildren(
        ...check.graph.quantities.map((quantity) =>
          h(
            "li",
            {},
            told(quantity, steps.get(quantity.name), check.graph.question, notes.get(quantity.name)),
          ),
        ),
      );
    },
  };
}

function arrange(graph) {
  const layout = new dagre.graphlib.Graph();
  layout.setGraph({ rankdir: "LR", nodesep: 12, ranksep: 34, marginx: 0, marginy: 0 });
  layout.setDefaultEdgeLabel(() => ({}));
  for (const quantity of graph.quantities) {
    const letters = Math.max(quantity.name.length + 9, definition(quantity).length);
    layout.setNode(quantity.name, { width: Math.max(72, letters * LETTER + 18), height: HEIGHT });
  }
  for (const quantity of graph.quantities) {
    for (const operand of new Set(quantity.operands))
      if (layout.hasNode(operand)) layout.setEdge(operand, quantity.name);
  }
  dagre.layout(layout);
  return layout;
}

function nodeElement(quantity, { x, y, width, height }, asked) {
  const name = s("text", { class: "name", x: 0, y: -4 }, quantity.name + (asked ? " ?" : ""));
  const formula = s("text", { class: "formula", x: 0, y: 12 }, definition(quantity));
  const title = s("title", {});
  const box = s("rect", { x: -width / 2, y: -height / 2, width, height, rx: 8 });
  const element = s("g", { transform: `translate(${x} ${y})` }, title, box, name, formula);
  return {
    element,
    state(step, noted) {
      const state = stateOf(quantity, step);
      element.setAttribute(
        "class",
        `node ${state}${quantity.needed ? "" : " distractor"}${asked ? " asked" : ""}`,
      );
      const { value } = quantity;
      const solved = {
        right: ` = ${value} ✓`,
        wrong: " ✗",
        carried: ` = ${step?.written} ≠ ${value}`,
        open: asked ? " ?" : "",
      };
      name.textContent = quantity.name + solved[state] + (noted ? ` ${noted}` : "");
      title.textContent = state === "carried" ? followed(quantity) : (step?.detail ?? "");
    },
  };
}

function stateOf(quantity, step) {
  if (!step) return "open";
  if (step.verdict !== "correct") return "wrong";
  return carried(quantity, step) ? "carried" : "right";
}

/** Whether a correct step has another value than the true one, since a value that it uses was wrong before. */
const carried = ({ value }, { written }) => typeof written === "number" && written !== value;
const followed = ({ value }) => `as follows from a wrong value before it; right is ${value}`;

function definition({ kind, operands, constant }) {
  switch (kind) {
    case "more":
      return `${operands[0]} + ${constant}`;
    case "times":
      return `${constant} × ${operands[0]}`;
    case "sum":
      return operands.join(" + ");
    case "difference":
      return operands.join(" − ");
    default:
      return String(constant);
  }
}

function told(quantity, step, question, noted) {
  const asked = quantity.name === question ? ", asked for" : "";
  const needed = quantity.needed ? "" : ", not needed";
  const solved = !step
    ? "not solved yet"
    : step.verdict === "correct"
      ? carried(quantity, step)
        ? `solved: ${step.written}, ${followed(quantity)}`
        : `solved: ${quantity.value}`
      : `${step.verdict.replace("_", " ")}: ${step.detail}`;
  const more = noted ? `; ${noted}` : "";
  return `${quantity.name} is ${definition(quantity)}${asked}${needed}; ${solved}${more}.`;
}

function smooth(points) {
  const [first, ...rest] = points;
  let path = `M${first.x} ${first.y}`;
  for (let index = 0; index < rest.length - 1; index++) {
    const [a, b] = [rest[index], rest[index + 1]];
    const end = index === rest.length - 2 ? b : { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    path += `Q${a.x} ${a.y} ${end.x} ${end.y}`;
  }
  return rest.length === 1 ? `${path}L${rest[0].x} ${rest[0].y}` : path;
}
