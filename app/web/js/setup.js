/** The left side of the play tab: the problem, the strategies, the sampling, the seed. */

import { firstStrategy } from "./defaults.js";
import { h } from "./dom.js";
import { complaintAt, objectEditor } from "./form.js";
import { problemPart, randomSeed } from "./problem.js";
import { samplingFields } from "./request.js";
import { compact, initial, readable } from "./schema.js";
import { strategyPicker } from "./strategy-picker.js";

/**
 * @param {{problem: (prompt: string) => void, run: () => void, stop: () => void}} on
 *   `problem`: called when there is another one
 * @returns editor of the state of a request, see request.js
 */
export function setupView(catalogue, on) {
  const start = [{ kind: firstStrategy(catalogue) }, { kind: "greedy" }];
  const complained = [];
  const signals = catalogue.signals.map(({ name }) => name);
  const problem = problemPart(catalogue, () => on.problem(problem.prompt.value));
  const pickers = [0, 1].map((index) =>
    strategyPicker(catalogue, { label: index ? "Second strategy" : "Strategy", changed: () => {} }),
  );
  const second = h("div", { hidden: true }, pickers[1].element);
  const beside = h("button", { type: "button", class: "quiet", onclick: () => setSecond(second.hidden) });
  const fields = samplingFields(catalogue.openapi);
  const first = objectEditor(fields.first, { changed: () => {}, signals });
  const more = objectEditor(fields.more, { changed: () => tell(), signals });
  const said = h("span", { class: "said" });
  const seed = h("input", { type: "number", id: "seed", step: 1, required: true });
  const dice = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => (seed.value = randomSeed()),
    },
    "New seed",
  );
  const limit = h("input", {
    type: "number",
    id: "max-tokens",
    min: 1,
    step: 1,
    placeholder: "what fits",
  });
  const complaints = { seed: complaintAt(seed), max_tokens: complaintAt(limit), prompt: problem };
  const run = h("button", { type: "submit", class: "primary", id: "run" }, "Run");
  const stop = h(
    "button",
    { type: "button", class: "secondary", id: "stop", disabled: true, onclick: on.stop },
    "Stop",
  );
  const element = h(
    "form",
    { class: "setup", novalidate: true, "aria-label": "Request" },
    problem.element,
    h("fieldset", { class: "card" }, h("legend", {}, "Strategy"), pickers[0].element, second, beside),
    h(
      "fieldset",
      { class: "card" },
      h("legend", {}, "Sampling"),
      h("div", { class: "quartet" }, first.element),
      h(
        "div",
        { class: "pair" },
        h(
          "div",
          { class: "field" },
          h("label", { for: "seed" }, "seed"),
          h("div", { class: "joined" }, seed, dice),
          complaints.seed.element,
        ),
        h(
          "div",
          { class: "field" },
          h("label", { for: "max-tokens" }, "max tokens"),
          limit,
          complaints.max_tokens.element,
        ),
      ),
      h("details", {}, h("summary", {}, "All other samplers", said), more.element),
    ),
    h("div", { class: "run-bar" }, run, stop),
  );
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    on.run();
  });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) on.run();
  });

  /** Which of the samplers that are folded away do something. */
  function tell() {
    said.textContent = Object.entries(compact(more.read(), fields.more))
      .map(([name, value]) => `${readable(name)} ${value}`)
      .join(" · ");
  }

  function setSecond(there) {
    second.hidden = !there;
    beside.textContent = there ? "Remove the second strategy" : "Put another beside it";
  }

  const all = { ...fields.first, ...fields.more };
  const samplers = () => compact({ ...first.read(), ...more.read() }, all);

  const self = {
    element,
    read: () => ({
      prompt: problem.prompt.value,
      seed: Number(seed.value || 0),
      max_tokens: limit.value === "" ? null : Number(limit.value),
      sampling: samplers(),
      strategies: pickers.slice(0, second.hidden ? 1 : 2).map((picker) => picker.read()),
    }),
    write(state) {
      problem.set(state.prompt);
      seed.value = state.seed;
      limit.value = state.max_tokens ?? "";
      const values = {
        ...Object.fromEntries(Object.entries(all).map(([name, field]) => [name, initial(field)])),
        ...state.sampling,
      };
      first.write(values);
      more.write(values);
      tell();
      for (const [index, picker] of pickers.entries()) picker.write(state.strategies[index] ?? start[index]);
      setSecond(state.strategies.length > 1);
    },
    /** Put an error of the server at the field that it names; false if no field here has that name. */
    complain(param, message, index) {
      const path = String(param ?? "").split(".");
      const editor =
        path[0] === "strategy"
          ? pickers[index].at(path.slice(1))
          : (complaints[path[0]] ?? first.at(path) ?? more.at(path));
      if (!editor) return false;
      editor.complain(message);
      complained.push(editor);
      return true;
    },
    forgive() {
      for (const editor of complained.splice(0)) editor.complain(null);
    },
    running(yes) {
      stop.disabled = !yes;
      run.textContent = yes ? "Run again" : "Run";
    },
    draw: problem.draw,
  };
  return self;
}
