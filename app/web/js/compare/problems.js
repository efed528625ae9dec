/** Which problems a comparison solves: those of the model's corpus, where it has one, or given ones. */

import { h } from "../dom.js";
import { editorOf } from "../form.js";
import { fieldOf, initial } from "../schema.js";
import { labelled, number } from "./inputs.js";

/**
 * @param {Record<string, any>} catalogue
 * @param {() => void} changed
 */
export function problemsEditor({ openapi, corpus }, changed) {
  const sources = corpus
    ? { corpus: corpusEditor(openapi, corpus, changed), given: givenEditor(openapi, changed) }
    : { given: givenEditor(openapi, changed) };
  const names = { corpus: "From the corpus", given: "My own" };
  const choices = Object.keys(sources).map((source) => {
    const input = h("input", {
      type: "radio",
      name: "source",
      value: source,
      id: `source-${source}`,
      onchange: () => show(source),
    });
    return { input, label: h("label", { class: "radio", for: input.id }, input, names[source]) };
  });
  let shown = "given";

  function show(source) {
    shown = source;
    for (const [name, editor] of Object.entries(sources)) editor.element.hidden = name !== source;
    for (const { input } of choices) input.checked = input.value === source;
    changed();
  }

  return {
    element: h(
      "fieldset",
      { class: "panel" },
      h("legend", {}, "Problems"),
      choices.length > 1
        ? h(
            "div",
            { class: "actions" },
            choices.map(({ label }) => label),
          )
        : h("p", { class: "help" }, "The model names no corpus to draw problems from, so they are your own."),
      Object.values(sources).map(({ element }) => element),
    ),
    count: () => sources[shown].count(),
    read: () => sources[shown].read(),
    write(problems) {
      const source = problems.source in sources ? problems.source : "given";
      for (const [name, editor] of Object.entries(sources)) editor.write(name === source ? problems : null);
      show(source);
    },
  };
}

function corpusEditor(openapi, { ops }, changed) {
  const { properties } = openapi.components.schemas.CorpusProblems;
  const split = h(
    "select",
    { id: "cmp-split", "aria-describedby": "cmp-terms" },
    properties.split.enum.map((name) => h("option", { value: name }, name)),
  );
  const sizes = { min: ops.min, max: ops.max, "aria-describedby": "cmp-terms" };
  const low = number("cmp-low", sizes, changed);
  const high = number("cmp-high", sizes, changed);
  const { minimum: min, maximum: max } = properties.count;
  const count = number("cmp-count", { min, max }, changed);
  const terms = h(
    "p",
    { class: "help", id: "cmp-terms" },
    `${ops.label} (${ops.name}): ${ops.meaning}. The model was trained on ${ops.min} to ${ops.trained_max}, and there are problems of up to ${ops.max}. No problem of validation or test has the graph of one that it was trained on: choose on validation, report on test.`,
  );
  return {
    element: h(
      "div",
      { class: "fields" },
      h(
        "div",
        { class: "quad" },
        labelled("split", split),
        labelled(`fewest ${ops.label}`, low),
        labelled(`most ${ops.label}`, high),
        labelled("problems in all", count),
      ),
      terms,
    ),
    count: () => Number(count.value) || null,
    read: () => ({
      problems: {
        source: "corpus",
        split: split.value,
        ops: [Number(low.value), Number(high.value)],
        count: Number(count.value),
      },
    }),
    write(problems) {
      if (!problems) return;
      [split.value, count.value] = [problems.split, problems.count];
      [low.value, high.value] = problems.ops;
    },
  };
}

function givenEditor(openapi, changed) {
  const field = readingField(openapi);
  const lines = h("textarea", {
    id: "cmp-lines",
    rows: 7,
    spellcheck: "false",
    class: "code",
    placeholder: '{"prompt": "Kites are 7. How many kites?", "answer": "7"}',
    oninput: changed,
  });
  const reading = editorOf(field, { changed: () => {}, signals: [] });
  return {
    element: h(
      "div",
      { class: "fields" },
      labelled("JSON Lines with prompt and, where it is known, answer", lines),
      reading.element,
    ),
    count: () => lines.value.split("\n").filter((line) => line.trim()).length || null,
    read() {
      const items = parseLines(lines.value);
      // Where nobody knows an answer the texts are all there is to look at, so they come with a signal.
      const wanted = items.some((item) => item.answer === undefined) ? { signals: ["entropy"] } : {};
      return { problems: { source: "given", items, reading: reading.read() }, ...wanted };
    },
    write(problems) {
      if (problems) lines.value = (problems.items ?? []).map((item) => JSON.stringify(item)).join("\n");
      reading.write(problems?.reading ?? initial(field));
    },
  };
}

/** @throws {SyntaxError} a line is no JSON; the message says which */
function parseLines(text) {
  return text.split("\n").flatMap((line, index) => {
    if (!line.trim()) return [];
    try {
      return [JSON.parse(line)];
    } catch (error) {
      throw new SyntaxError(`Line ${index + 1} of the problems is no JSON: ${error.message}`);
    }
  });
}

function readingField(openapi) {
  const field = fieldOf(openapi.components.schemas.GivenProblems.properties.reading, openapi, "reading");
  return { ...field, title: "how the answer is read", default: { rule: "marker", answer_marker: "Answer:" } };
}
