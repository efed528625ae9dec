/** The form of a comparison: arms, problems, seed. */

import { ApiError, post } from "../api.js";
import { h } from "../dom.js";
import { editorOf } from "../form.js";
import { comparisonStrategies } from "../request.js";
import { fieldOf, initial } from "../schema.js";
import { armEditor } from "./arm.js";

const SPLITS = ["validation", "test", "train"];
const START = {
  arms: [
    { name: "greedy", strategy: { kind: "greedy" } },
    { name: "sample", strategy: { kind: "sample" } },
    { name: "regret", strategy: { kind: "retry_upon_regret" } },
    { name: "coin", strategy: { kind: "random_retry" } },
  ],
  problems: { source: "corpus", split: "validation", ops: [5, 8], count: 40 },
  seed: 0,
  latency_problems: 5,
};

/** @param {(status: object) => void} submitted called with the comparison that was accepted */
export function builderView(catalogue, submitted) {
  const offered = { ...catalogue, strategies: comparisonStrategies(catalogue.openapi, catalogue.strategies) };
  const arms = h("div", { class: "arms" });
  const name = h("input", {
    type: "text",
    id: "comparison-name",
    maxlength: 64,
    placeholder: "optional",
    spellcheck: "false",
  });
  const seed = number("comparison-seed", { min: 0 });
  const latency = number("comparison-latency", { min: 0, max: 10000 });
  const baseline = h("select", { id: "baseline" });
  const problems = problemsEditor(catalogue, tell);
  const size = h("p", { class: "help", role: "status" });
  const alert = h("p", { class: "alert", role: "alert", hidden: true });
  const go = h("button", { type: "submit", class: "primary" }, "Compare");
  const add = h(
    "button",
    {
      type: "button",
      class: "secondary",
      onclick: () => {
        addArm(nextArm());
        editors.at(-1).focus();
      },
    },
    "Add an arm",
  );
  let editors = [];
  let unshown = {}; // fields of a template that have no place in the form
  const complained = [];

  const element = h(
    "form",
    { class: "builder", novalidate: true, "aria-label": "New comparison" },
    h(
      "section",
      { class: "panel" },
      h("h2", {}, "Arms"),
      h(
        "p",
        { class: "help" },
        "Each is a strategy with its own sampling. All get the same problems and the same seeds.",
      ),
      arms,
      h("div", { class: "actions" }, add),
    ),
    problems.element,
    h(
      "section",
      { class: "panel" },
      h("h2", {}, "Besides"),
      h(
        "div",
        { class: "quad" },
        labelled("name", name),
        labelled("seed", seed),
        labelled("baseline", baseline),
        labelled("problems solved alone, for latency", latency),
      ),
    ),
    alert,
    h("div", { class: "actions" }, go, size),
  );
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });

  function addArm(arm) {
    const editor = armEditor(offered, { changed: tell, removed: () => dropArm(editor) });
    editor.write(arm);
    editors.push(editor);
    arms.append(editor.element);
    tell();
  }

  function dropArm(editor) {
    editors = editors.filter((other) => other !== editor);
    editor.element.remove();
    tell();
    add.focus();
  }

  function nextArm() {
    const taken = new Set(editors.map((editor) => editor.name()));
    let place = editors.length + 1;
    while (taken.has(`arm-${place}`)) place++;
    return { name: `arm-${place}`, strategy: { kind: "sample" } };
  }

  function tell() {
    const names = editors.map((editor) => editor.name());
    const chosen = baseline.value;
    baseline.replaceChildren(...names.map((one) => h("option", { value: one }, one)));
    if (names.includes(chosen)) baseline.value = chosen;
    for (const editor of editors) editor.removable(editors.length > 1);
    const count = problems.count();
    size.textContent =
      count === null
        ? ""
        : `${editors.length} arms × ${count} problems = ${(editors.length * count).toLocaleString("en")} answers`;
  }

  const read = () => ({
    ...unshown,
    ...(name.value ? { name: name.value } : {}),
    arms: editors.map((editor) => editor.read()),
    ...problems.read(),
    seed: Number(seed.value || 0),
    baseline: baseline.value,
    latency_problems: Number(latency.value || 0),
  });

  async function submit() {
    for (const editor of complained.splice(0)) editor.complain(null);
    alert.hidden = true;
    go.disabled = true;
    try {
      submitted(await post("compare", read()));
    } catch (error) {
      complain(error);
      if (!(error instanceof ApiError) && !(error instanceof SyntaxError)) throw error;
    } finally {
      go.disabled = false;
    }
  }

  function complain(error) {
    const [field, place, ...rest] = String(error.param ?? "")
      .split(/[.[\]]+/)
      .filter(Boolean);
    const editor = field === "arms" ? editors[Number(place)]?.at(rest) : null;
    if (editor) {
      editor.complain(error.message);
      complained.push(editor);
    }
    alert.textContent = error.message;
    alert.hidden = false;
  }

  function write(spec) {
    editors = [];
    arms.replaceChildren();
    for (const arm of spec.arms) addArm(arm);
    name.value = spec.name ?? "";
    seed.value = spec.seed ?? 0;
    latency.value = spec.latency_problems ?? 0;
    problems.write(spec.problems);
    unshown = { max_tokens: spec.max_tokens ?? null, signals: spec.signals ?? [] };
    tell();
    if (spec.baseline) baseline.value = spec.baseline;
  }

  write(START);
  return { element, write };
}

function problemsEditor({ openapi }, changed) {
  const split = h(
    "select",
    { id: "cmp-split" },
    SPLITS.map((name) => h("option", { value: name }, name)),
  );
  const low = number("cmp-low", { min: 1 }, changed);
  const high = number("cmp-high", { min: 1 }, changed);
  const count = number("cmp-count", { min: 1 }, changed);
  const corpus = h(
    "div",
    { class: "quad" },
    labelled("split", split),
    labelled("fewest steps", low),
    labelled("most steps", high),
    labelled("problems in all", count),
  );
  const lines = h("textarea", {
    id: "cmp-lines",
    rows: 7,
    spellcheck: "false",
    class: "code",
    placeholder: '{"prompt": "Kites are 7. How many kites?", "answer": "7"}',
    oninput: changed,
  });
  const reading = editorOf(readingField(openapi), { changed: () => {}, signals: [] });
  const given = h(
    "div",
    { class: "fields", hidden: true },
    labelled("JSON Lines with prompt and, where it is known, answer", lines),
    reading.element,
  );
  const radio = (value, text) => {
    const input = h("input", {
      type: "radio",
      name: "source",
      value,
      id: `source-${value}`,
      checked: value === "corpus",
      onchange: () => show(value),
    });
    return h("label", { class: "radio", for: input.id }, input, text);
  };
  const choices = [radio("corpus", "From the corpus"), radio("given", "My own")];
  let source = "corpus";

  function show(value) {
    source = value;
    corpus.hidden = value !== "corpus";
    given.hidden = value === "corpus";
    for (const label of choices) label.firstChild.checked = label.firstChild.value === value;
    changed();
  }

  return {
    element: h(
      "fieldset",
      { class: "panel" },
      h("legend", {}, "Problems"),
      h("div", { class: "actions" }, choices),
      corpus,
      given,
    ),
    count() {
      if (source === "corpus") return Number(count.value) || null;
      return lines.value.split("\n").filter((line) => line.trim()).length || null;
    },
    read() {
      if (source === "corpus") {
        const ops = [Number(low.value), Number(high.value)];
        return { problems: { source, split: split.value, ops, count: Number(count.value) } };
      }
      const items = parseLines(lines.value);
      // Where nobody knows an answer the texts are all there is to look at, so they come with a signal.
      const wanted = items.some((item) => item.answer === undefined) ? { signals: ["entropy"] } : {};
      return { problems: { source, items, reading: reading.read() }, ...wanted };
    },
    write(problems) {
      if (problems.source === "given") {
        lines.value = problems.items.map((item) => JSON.stringify(item)).join("\n");
        reading.write(problems.reading);
      } else {
        [split.value, count.value] = [problems.split, problems.count];
        [low.value, high.value] = problems.ops;
        reading.write(initial(readingField(openapi)));
      }
      show(problems.source);
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
  return { ...field, title: "how the answer is read", default: { rule: "marker", marker: "Answer:" } };
}

function number(id, bounds, changed) {
  return h("input", { type: "number", id, step: 1, ...bounds, oninput: changed });
}

function labelled(text, input) {
  return h("div", { class: "field" }, h("label", { for: input.id }, text), input);
}
