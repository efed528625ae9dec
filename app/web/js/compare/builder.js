/** The form of a comparison: arms, problems, seed. */

import { ApiError, post } from "../api.js";
import { firstComparison } from "../defaults.js";
import { h } from "../dom.js";
import { comparisonStrategies } from "../request.js";
import { armEditor } from "./arm.js";
import { labelled, number } from "./inputs.js";
import { problemsEditor } from "./problems.js";

/** @param {(status: object) => void} submitted called with the comparison that was accepted */
export function builderView(catalogue, submitted) {
  const offered = { ...catalogue, strategies: comparisonStrategies(catalogue) };
  const { properties } = catalogue.openapi.components.schemas.ComparisonSpec;
  const mostArms = properties.arms.maxItems;
  const arms = h("div", { class: "arms" });
  const name = h("input", {
    type: "text",
    id: "comparison-name",
    maxlength: 64,
    placeholder: "optional",
    spellcheck: "false",
  });
  const bounded = (field) => ({ min: properties[field].minimum, max: properties[field].maximum });
  const seed = number("comparison-seed", bounded("seed"));
  const latency = number("comparison-latency", bounded("latency_problems"));
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
  const full = h("p", { class: "help" });
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
      h("div", { class: "actions" }, add, full),
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
    const { model } = catalogue;
    return { name: `arm-${place}`, strategy: { kind: "sample" }, model: model.default ? null : model.id };
  }

  function tell() {
    const names = editors.map((editor) => editor.name());
    const chosen = baseline.value;
    baseline.replaceChildren(...names.map((one) => h("option", { value: one }, one)));
    if (names.includes(chosen)) baseline.value = chosen;
    for (const editor of editors) editor.removable(editors.length > 1);
    add.disabled = editors.length >= mostArms;
    full.textContent = add.disabled ? `A comparison has at most ${mostArms} arms.` : "";
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
    alert.textContent = editor ? "" : error.message;
    alert.hidden = Boolean(editor);
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

  write(firstComparison(catalogue));
  return { element, write };
}
