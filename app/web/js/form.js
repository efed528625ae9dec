/**
 * Forms from the fields of a JSON Schema. An editor is `{element, read(), write(value), at(path)}`: `read` gives
 * the JSON value, `at` the editor of an inner field, by the path in which the server names it in errors.
 */

import { h, newId, prose } from "./dom.js";
import { fieldsOf, initial, isProbe, rangeOf, readable } from "./schema.js";

/**
 * The editor of an object: a row for every field.
 * @param {Record<string, import("./schema.js").Field>} fields
 * @param {{changed: () => void, signals: string[]}} context
 */
export function objectEditor(fields, context) {
  const editors = Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, editorOf(field, context)]),
  );
  const element = h(
    "div",
    { class: "fields" },
    Object.values(editors).map((editor) => editor.element),
  );
  return {
    element,
    read: () => Object.fromEntries(Object.entries(editors).map(([name, editor]) => [name, editor.read()])),
    write(values) {
      for (const [name, editor] of Object.entries(editors)) {
        editor.write(values?.[name] === undefined ? initial(fields[name]) : values[name]);
      }
    },
    /** @param {string[]} path */
    at: ([name, ...rest]) => (editors[name] ? editors[name].at(rest) : null),
  };
}

/** The editor of one field, with its label, its help and room for an error. */
export function editorOf(field, context) {
  switch (field.type) {
    case "object":
      return group(field, objectEditor(field.fields, context));
    case "variant":
      return group(field, variantEditor(field, context));
    case "list":
      return group(field, listEditor(field, context));
    case "alternatives":
      return group(field, alternativesEditor(field, context));
    case "boolean":
      return checkbox(field, context);
    case "choice":
      return labelled(field, choiceInput(field, context));
    case "integer":
    case "number":
      return labelled(field, numberInput(field, context));
    default:
      return labelled(field, textInput(field, context));
  }
}

function labelled(field, { input, read, write }) {
  const help = h("p", { class: "help", id: newId("help") }, prose(field.help));
  const error = h("p", { class: "field-error", id: newId("error"), hidden: true });
  input.id = newId("field");
  input.setAttribute("aria-describedby", `${help.id} ${error.id}`);
  const label = h("label", { for: input.id }, field.title);
  const range = rangeOf(field);
  if (range) label.append(h("span", { class: "range" }, range));
  const element = h("div", { class: "field" }, label, input, field.help ? help : null, error);
  if (!field.help) input.setAttribute("aria-describedby", error.id);
  return leaf({ element, input, error, read, write });
}

function checkbox(field, context) {
  const input = h("input", { type: "checkbox", id: newId("field"), onchange: context.changed });
  const error = h("p", { class: "field-error", id: newId("error"), hidden: true });
  const help = field.help ? h("p", { class: "help", id: newId("help") }, prose(field.help)) : null;
  input.setAttribute("aria-describedby", `${help ? help.id : ""} ${error.id}`.trim());
  const label = h("label", { class: "check", for: input.id }, input, field.title);
  const element = h("div", { class: "field" }, label, help, error);
  return leaf({
    element,
    input,
    error,
    read: () => input.checked,
    write: (value) => (input.checked = Boolean(value)),
  });
}

function leaf({ element, input, error, read, write }) {
  const editor = { element, read, write, at: () => editor, complain: complaining(input, error) };
  return editor;
}

/** Room for an error of an input that stands in no schema's form, as `element`, and how to `complain` there. */
export function complaintAt(input) {
  const error = h("p", { class: "field-error", id: newId("error"), hidden: true });
  input.setAttribute("aria-describedby", error.id);
  return { element: error, complain: complaining(input, error) };
}

/** Shows what the server says is wrong with a field, or with null nothing. */
function complaining(input, error) {
  return (message) => {
    error.textContent = message ?? "";
    error.hidden = !message;
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    if (message) reveal(input);
  };
}

function reveal(input) {
  for (let node = input.parentElement; node; node = node.parentElement)
    if (node.tagName === "DETAILS") node.open = true;
  input.focus();
}

function numberInput(field, { changed }) {
  const step = field.type === "integer" ? 1 : "any";
  const low = field.lowOpen ? undefined : field.low;
  const empty = field.nullable ? "calibrated" : "";
  const input = h("input", {
    type: "number",
    step,
    min: low,
    max: field.high,
    placeholder: empty,
    inputmode: "decimal",
    oninput: changed,
  });
  const read = () => (input.value === "" ? null : Number(input.value));
  return { input, read, write: (value) => (input.value = value ?? "") };
}

function choiceInput(field, { changed }) {
  const written = (value) => JSON.stringify(value);
  const input = h(
    "select",
    { onchange: changed },
    field.options.map((option) => h("option", { value: written(option) }, String(option))),
  );
  return { input, read: () => JSON.parse(input.value), write: (value) => (input.value = written(value)) };
}

/** A text, with the names of signals to choose from where it is one; line ends are written \n. */
function textInput(field, { changed, signals }) {
  const names = /\/v1\/signals|\^probe:|"probe:/.test(`${field.help} ${field.node.pattern ?? ""}`);
  const onlyProbes = field.node.pattern?.startsWith("^probe");
  if (names && field.node.pattern) {
    const options = signals.filter((name) => !onlyProbes || isProbe(name));
    return nameInput(options, changed);
  }
  const input = h("input", {
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    maxlength: field.maxLength,
    oninput: changed,
  });
  if (names) input.setAttribute("list", "signal-names");
  return {
    input,
    read: () => (input.value === "" && field.nullable ? null : unescaped(input.value)),
    write: (value) => (input.value = escaped(value ?? "")),
  };
}

function nameInput(options, changed) {
  const input = h(
    "select",
    { onchange: changed },
    options.map((name) => h("option", { value: name }, name)),
  );
  const write = (value) => {
    if (value && !options.includes(value)) input.append(h("option", { value }, value));
    input.value = value ?? options[0];
  };
  return { input, read: () => input.value, write };
}

const escaped = (text) => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
const unescaped = (text) =>
  text.replace(/\\([nt\\])/g, (_, letter) => ({ n: "\n", t: "\t", "\\": "\\" })[letter]);

function group(field, inner) {
  const error = h("p", { class: "field-error", hidden: true });
  const legend = h("legend", {}, field.title);
  const help = field.help ? h("p", { class: "help" }, prose(field.help)) : null;
  const element = h("fieldset", { class: "group" }, legend, help, inner.element, error);
  const self = {
    element,
    read: inner.read,
    write: inner.write,
    at: (path) => (path.length && inner.at(path)) || self,
    complain(message) {
      error.textContent = message ?? "";
      error.hidden = !message;
      if (message)
        for (let node = element; node; node = node.parentElement)
          if (node.tagName === "DETAILS") node.open = true;
      if (message) element.scrollIntoView({ block: "nearest" });
    },
  };
  return self;
}

function listEditor(field, context) {
  const rows = h("div", { class: "rows" });
  const add = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => append(structuredClone(field.default?.[0]) ?? initial(field.item)),
    },
    `Add ${singular(field.title)}`,
  );
  let items = [];

  function append(value) {
    const number = items.length + 1;
    const editor = editorOf(
      { ...field.item, title: `${singular(field.title)} ${number}`, help: "" },
      context,
    );
    editor.write(value);
    const label = `Remove ${singular(field.title)} ${number}`;
    const drop = h(
      "button",
      { type: "button", class: "quiet icon", "aria-label": label, onclick: () => without(item) },
      "×",
    );
    const item = { editor, row: h("div", { class: "row" }, editor.element, drop) };
    items.push(item);
    rows.append(item.row);
    settle();
  }

  function without(item) {
    const values = items.filter((other) => other !== item).map((other) => other.editor.read());
    write(values);
    add.focus();
  }

  function write(values) {
    items = [];
    rows.replaceChildren();
    for (const value of values ?? []) append(value);
    settle();
  }

  function settle() {
    add.hidden = items.length >= field.maxItems;
    for (const { row } of items) row.lastChild.hidden = items.length <= field.minItems;
    context.changed();
  }

  return {
    element: h("div", {}, rows, add),
    read: () => items.map((item) => item.editor.read()),
    write,
    at: ([index, ...rest]) => items[index]?.editor.at(rest) ?? null,
  };
}

/** One of several objects, told apart by a constant field. */
function variantEditor(field, context) {
  const select = h("select", {
    "aria-label": readable(field.key),
    onchange: () => show({ [field.key]: select.value }),
  });
  select.append(...Object.keys(field.variants).map((name) => h("option", { value: name }, readable(name))));
  const place = h("div", {});
  let inner = null;

  function show(value) {
    const chosen = value?.[field.key] ?? Object.keys(field.variants)[0];
    select.value = chosen;
    inner = objectEditor(fieldsOf(field.variants[chosen], field.root), context);
    inner.write(value);
    place.replaceChildren(inner.element);
    context.changed();
  }

  return {
    element: h("div", {}, select, place),
    read: () => ({ [field.key]: select.value, ...inner.read() }),
    write: show,
    at: (path) => inner.at(path[0] === select.value ? path.slice(1) : path),
  };
}

/** A list, one of some words, or an object: whichever the value is. */
function alternativesEditor(field, context) {
  const kinds = field.options.flatMap((option) =>
    option.type === "choice"
      ? option.options.map((word) => ({ name: word, fits: (value) => value === word, word }))
      : [kindOf(option)],
  );
  const select = h("select", {
    "aria-label": `kind of ${field.title}`,
    onchange: () => show(kinds[select.selectedIndex]),
  });
  select.append(...kinds.map(({ name }) => h("option", { value: name }, readable(name))));
  const place = h("div", {});
  let inner = null;

  function kindOf(option) {
    const isList = option.type === "list";
    const fits = (value) => typeof value === "object" && Array.isArray(value) === isList;
    return { name: isList ? "texts" : Object.keys(option.fields)[0], fits, option };
  }

  function show({ name, option, word }, value) {
    select.value = name;
    if (option) {
      inner = editorOf({ ...option, title: readable(name) }, context);
      inner.write(value ?? initial({ ...option, default: option.type === "list" ? field.default : undefined }));
    } else inner = { element: "", read: () => word, at: () => null };
    place.replaceChildren(inner.element);
    context.changed();
  }

  return {
    element: h("div", {}, select, place),
    read: () => inner.read(),
    write: (value) => show(kinds.find(({ fits }) => fits(value)) ?? kinds[0], value),
    at: (path) => inner.at(path),
  };
}

const singular = (title) => title.replace(/s$/, "");
