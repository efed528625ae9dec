/** Inputs of the form of a comparison. */

import { h } from "../dom.js";

/** For whole numbers. */
export function number(id, bounds, changed) {
  return h("input", { type: "number", id, step: 1, ...bounds, oninput: changed });
}

/** An input with its label. */
export function labelled(text, input) {
  return h("div", { class: "field" }, h("label", { for: input.id }, text), input);
}
