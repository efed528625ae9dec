/** Choosing a strategy and its parameters. */

import { h, newId, prose } from "./dom.js";
import { objectEditor } from "./form.js";
import { strategyFields, strategyOf } from "./request.js";
import { readable } from "./schema.js";

/**
 * @param {{strategies: {kind: string, summary: string, params_schema: object,
 *   unavailable: string|null}[], signals: {name: string}[]}} catalogue
 * @param {{label: string, changed: () => void}} options
 * @returns an editor of a `strategy` object, as in form.js
 */
export function strategyPicker(catalogue, { label, changed }) {
  const fields = strategyFields(catalogue.strategies);
  const signals = catalogue.signals.map(({ name }) => name);
  const id = newId("strategy");
  const missing = new Map(catalogue.strategies.map(({ kind, unavailable }) => [kind, unavailable]));
  const select = h(
    "select",
    {
      id,
      "aria-describedby": `${id}-summary ${id}-caution`,
      onchange: () => write({ kind: select.value }),
    },
    optionsOf(catalogue.strategies),
  );
  const summary = h("p", { class: "help", id: `${id}-summary` });
  const caution = h("p", { class: "help caution", id: `${id}-caution`, hidden: true });
  const error = h("p", { class: "field-error", hidden: true });
  const place = h("div", {});
  const said = h("span", { class: "said" });
  const parameters = h("details", { class: "parameters" }, h("summary", {}, "Parameters", said), place);
  const element = h(
    "div",
    { class: "picker" },
    h("div", { class: "field" }, h("label", { for: id }, label), select, summary, caution, error),
    parameters,
  );
  let editor = null;
  let writing = false;

  function note(message) {
    error.textContent = message ?? "";
    error.hidden = !message;
  }

  function tell() {
    if (writing) return;
    const { kind, ...own } = read();
    const parts = Object.entries(own).map(
      ([name, value]) => `${readable(name)} ${typeof value === "object" ? "set" : value}`,
    );
    said.textContent = parts.join(" · ");
    changed();
  }

  function read() {
    return strategyOf(select.value, editor.read(), fields[select.value]);
  }

  function write(strategy) {
    writing = true;
    const kind = fields[strategy.kind] ? strategy.kind : "sample";
    select.value = kind;
    note(kind === strategy.kind ? null : `There is no strategy ${strategy.kind} here; this is another.`);
    caution.hidden = !missing.get(kind);
    caution.textContent = `With its defaults it cannot run here: ${missing.get(kind)}`;
    summary.replaceChildren(...prose(catalogue.strategies.find((one) => one.kind === kind).summary));
    editor = objectEditor(fields[kind], { changed: tell, signals });
    editor.write(strategy);
    place.replaceChildren(editor.element);
    parameters.hidden = Object.keys(fields[kind]).length === 0;
    writing = false;
    tell();
  }

  const self = {
    element,
    read,
    write,
    // The server names the kind as the first step into the union, or leaves it out.
    at(path) {
      const inner = path[0] === select.value ? path.slice(1) : path;
      return (inner.length && editor.at(inner)) || self;
    },
    complain(message) {
      note(message);
      if (message) select.focus();
    },
    open: () => (parameters.open = true),
  };
  write({ kind: "sample" });
  return self;
}

/** Those that can run as they are, and apart from them those that lack something here. */
function optionsOf(strategies) {
  const option = ({ kind }) => h("option", { value: kind }, readable(kind));
  const lacking = strategies.filter(({ unavailable }) => unavailable);
  if (!lacking.length) return strategies.map(option);
  const ready = strategies.filter(({ unavailable }) => !unavailable);
  return [
    h("optgroup", { label: "Ready to run" }, ready.map(option)),
    h("optgroup", { label: "Need what this model lacks" }, lacking.map(option)),
  ];
}
