/** The prompt: typed, or a problem drawn from the model's corpus where it has one. */

import { ApiError, get } from "./api.js";
import { h } from "./dom.js";
import { complaintAt } from "./form.js";
import { ofModel } from "./models.js";

/**
 * @param {Record<string, any>} catalogue
 * @param {() => void} changed called when the prompt has changed
 */
export function problemPart({ corpus, model }, changed) {
  const name = corpus ? "Problem" : "Prompt";
  const prompt = h("textarea", { id: "prompt", rows: 5, spellcheck: "false", required: true });
  const complaint = complaintAt(prompt);
  const drawing =
    corpus &&
    drawingPart(corpus, model, (text) => {
      prompt.value = text;
      changed();
    });
  const element = h(
    "fieldset",
    { class: "card" },
    h("legend", {}, name),
    h(
      "div",
      { class: "field" },
      h("label", { for: "prompt", class: "visually-hidden" }, name),
      prompt,
      complaint.element,
    ),
    drawing?.elements ?? h("p", { class: "help" }, "The model goes on from exactly this text."),
  );
  prompt.addEventListener("input", () => {
    drawing?.say("Typed.");
    changed();
  });

  return {
    element,
    prompt,
    complain: complaint.complain,
    draw: drawing?.draw,
    set(text) {
      prompt.value = text;
      drawing?.say("");
      changed();
    },
  };
}

/**
 * @param {import("./catalogue.js").Corpus} corpus
 * @param {{id: string, default: boolean}} model whose corpus it is
 * @param {(prompt: string) => void} drew
 */
function drawingPart({ ops, splits }, model, drew) {
  const drawn = h("p", { class: "help", id: "drawn", role: "status" });
  const op = h("input", {
    type: "number",
    id: "op",
    min: ops.min,
    max: ops.max,
    step: 1,
    value: ops.trained_max,
    "aria-describedby": "drawing-terms",
  });
  const split = h(
    "select",
    { id: "split", "aria-describedby": "drawing-terms" },
    splits.map((name) => h("option", { value: name, selected: name === "test" }, name)),
  );
  const button = h(
    "button",
    { type: "button", class: "secondary", onclick: () => draw({ seed: randomSeed() }) },
    "Draw",
  );
  const error = h("p", { class: "field-error", role: "alert", hidden: true });
  const terms = h(
    "p",
    { class: "help", id: "drawing-terms" },
    h("b", {}, ops.label),
    ` (${ops.name}): ${ops.meaning}. Trained on ${ops.min} to ${ops.trained_max} (id)`,
    ops.max > ops.trained_max ? `; ${ops.trained_max + 1} to ${ops.max} are larger than any (ood). ` : ". ",
    h("b", {}, "split"),
    ": the model was trained on problems of train; none of another split has the graph of one of them.",
  );

  async function draw({ seed, ...where }) {
    op.value = where.op ?? op.value;
    split.value = where.split ?? split.value;
    error.hidden = true;
    try {
      const query = new URLSearchParams({ op: op.value, split: split.value, seed, count: "1" });
      const { data } = await get(ofModel(`problems?${query}`, model));
      const [{ id, op: size, prompt }] = data;
      const large =
        size <= ops.trained_max ? "" : `; the model was trained on ${ops.min} to ${ops.trained_max}`;
      drew(prompt);
      drawn.textContent = `Problem ${id} of ${split.value}, seed ${seed}: ${size} ${ops.label}${large}.`;
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      error.textContent = failure.message;
      error.hidden = false;
    }
  }

  return {
    elements: [
      h(
        "div",
        { class: "draw" },
        h("div", { class: "field" }, h("label", { for: "op" }, ops.label), op),
        h("div", { class: "field" }, h("label", { for: "split" }, "split"), split),
        button,
      ),
      error,
      drawn,
      terms,
    ],
    draw,
    say: (text) => (drawn.textContent = text),
  };
}

export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
}
