/** The left side of the play tab: the problem, the strategies, the sampling, the seed. */

import { ApiError, get } from "./api.js";
import { h } from "./dom.js";
import { objectEditor } from "./form.js";
import { samplingFields } from "./request.js";
import { compact, initial } from "./schema.js";
import { strategyPicker } from "./strategy-picker.js";

const SPLITS = ["test", "validation", "calibration", "train"];
const START = [{ kind: "retry_upon_regret" }, { kind: "greedy" }];

/**
 * @param {{changed: () => void, problem: (prompt: string) => void, run: () => void, stop: () => void}} on
 * @returns editor of the state of a request, see request.js
 */
export function setupView(catalogue, on) {
  let writing = true;
  const complained = [];
  const changed = () => !writing && on.changed();
  const signals = catalogue.signals.map(({ name }) => name);
  const problem = problemPart(catalogue, () => {
    on.problem(problem.prompt.value);
    changed();
  });
  const pickers = [0, 1].map((index) =>
    strategyPicker(catalogue, { label: index ? "Second strategy" : "Strategy", changed }),
  );
  const second = h("div", { hidden: true }, pickers[1].element);
  const beside = h("button", { type: "button", class: "quiet", onclick: () => setSecond(second.hidden) });
  const fields = samplingFields(catalogue.openapi);
  const first = objectEditor(fields.first, { changed, signals });
  const more = objectEditor(fields.more, { changed, signals });
  const said = h("span", { class: "said" });
  const seed = h("input", { type: "number", id: "seed", step: 1, required: true, oninput: changed });
  const dice = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => {
        seed.value = randomSeed();
        changed();
      },
    },
    "New seed",
  );
  const limit = h("input", {
    type: "number",
    id: "max-tokens",
    min: 1,
    step: 1,
    placeholder: "what fits",
    oninput: changed,
  });
  const run = h("button", { type: "submit", class: "primary", id: "run" }, "Run");
  const stop = h(
    "button",
    { type: "button", class: "secondary", id: "stop", disabled: true, onclick: on.stop },
    "Stop",
  );
  const alert = h("p", { class: "alert", role: "alert", hidden: true });
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
        ),
        h("div", { class: "field" }, h("label", { for: "max-tokens" }, "max tokens"), limit),
      ),
      h("details", {}, h("summary", {}, "All other samplers", said), more.element),
    ),
    h("div", { class: "run-bar" }, run, stop),
    alert,
  );
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    on.run();
  });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) on.run();
  });

  function setSecond(there) {
    second.hidden = !there;
    beside.textContent = there ? "Remove the second strategy" : "Put another beside it";
    changed();
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
      writing = true;
      problem.set(state.prompt);
      seed.value = state.seed;
      limit.value = state.max_tokens ?? "";
      const values = {
        ...Object.fromEntries(Object.entries(all).map(([name, field]) => [name, initial(field)])),
        ...state.sampling,
      };
      first.write(values);
      more.write(values);
      for (const [index, picker] of pickers.entries()) picker.write(state.strategies[index] ?? START[index]);
      setSecond(state.strategies.length > 1);
      writing = false;
    },
    /** Put an error of the server at the field that it names; false if no field here has that name. */
    complain(param, message, index) {
      const path = String(param ?? "").split(".");
      const editor =
        path[0] === "strategy" ? pickers[index].at(path.slice(1)) : (first.at(path) ?? more.at(path));
      if (editor) {
        editor.complain(message);
        complained.push(editor);
      }
      alert.textContent = editor ? "" : message;
      alert.hidden = Boolean(editor);
    },
    forgive() {
      for (const editor of complained.splice(0)) editor.complain(null);
      alert.hidden = true;
    },
    running(yes) {
      stop.disabled = !yes;
      run.textContent = yes ? "Run again" : "Run";
    },
    draw: problem.draw,
  };
  return self;
}

/** A problem that is typed or drawn from the corpus. */
function problemPart(catalogue, changed) {
  const prompt = h("textarea", {
    id: "prompt",
    rows: 5,
    spellcheck: "false",
    required: true,
    "aria-describedby": "drawn",
  });
  const drawn = h(
    "p",
    { class: "help", id: "drawn" },
    "One that you write has to read like those of the corpus.",
  );
  const op = h("input", { type: "number", id: "op", min: 1, step: 1, value: 7 });
  const split = h(
    "select",
    { id: "split" },
    SPLITS.map((name) => h("option", { value: name }, name)),
  );
  const button = h(
    "button",
    { type: "button", class: "secondary", onclick: () => draw(randomSeed()) },
    "Draw",
  );
  const error = h("p", { class: "field-error", role: "alert", hidden: true });
  const element = h(
    "fieldset",
    { class: "card" },
    h("legend", {}, "Problem"),
    h("div", { class: "field" }, h("label", { for: "prompt", class: "visually-hidden" }, "Problem"), prompt),
    h(
      "div",
      { class: "draw" },
      h("div", { class: "field" }, h("label", { for: "op" }, "steps"), op),
      h("div", { class: "field" }, h("label", { for: "split" }, "split"), split),
      button,
    ),
    error,
    drawn,
  );
  prompt.addEventListener("input", () => {
    drawn.textContent = "Typed.";
    changed();
  });

  async function draw(seed) {
    error.hidden = true;
    try {
      const query = new URLSearchParams({ op: op.value, split: split.value, seed, count: 1 });
      const { data, ops } = await get(`problems?${query}`);
      op.max = ops.max;
      const [{ id, op: size }] = data;
      prompt.value = data[0].prompt;
      const known =
        size <= ops.trained_max ? "" : `; the model was trained on ${ops.min} to ${ops.trained_max}`;
      drawn.textContent = `Problem ${id} of ${split.value}, seed ${seed}: ${size} steps${known}.`;
      changed();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      error.textContent = failure.message;
      error.hidden = false;
    }
  }

  return {
    element,
    prompt,
    draw,
    set(text) {
      prompt.value = text;
      drawn.textContent = "";
      changed();
    },
  };
}

function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
}
