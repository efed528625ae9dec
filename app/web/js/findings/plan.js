/** A plan, read live: what a probe makes of every quantity of a drawn problem, before the first word is written. */

import { get, post } from "../api.js";
import { percent } from "../colour.js";
import { h } from "../dom.js";
import { graphView } from "../graph.js";
import { ofModel } from "../models.js";

const SIGNAL = "probe:necessary";
const CERTAIN = 100; // as a bias of a logit

/** Whether the served model has such problems, and a probe that reads a plan. */
export const canShowPlan = ({ corpus, signals }) =>
  Boolean(corpus) && signals.some(({ name }) => name === SIGNAL);

/** @param {Record<string, any>} catalogue of a model that `canShowPlan` */
export function planView(catalogue) {
  const { corpus, model } = catalogue;
  const graph = graphView();
  const prompt = h("p", { class: "plan-problem" });
  const said = h("p", { class: "help", role: "status" });
  const button = h("button", { type: "button", onclick: read }, "Draw a problem and read the plan");
  let seed = 0;

  async function read() {
    button.disabled = true;
    said.textContent = "Reading…";
    try {
      const query = `problems?count=1&op=${corpus.ops.trained_max}&split=test&seed=${++seed}`;
      const [problem] = (await get(ofModel(query, model))).data;
      const check = await post("problems/check", {
        prompt: problem.prompt,
        completion: "",
        model: model.id,
      });
      const shares = await sharesOf(problem.prompt, check.graph.quantities, model);
      prompt.textContent = problem.prompt;
      graph.render(
        { ...check, steps: [] },
        new Map([...shares].map(([name, share]) => [name, percent(share)])),
      );
      said.textContent = inWords(check.graph.quantities, shares);
    } catch (error) {
      said.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }

  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Read a plan"),
    h(
      "p",
      { class: "help" },
      "Of each quantity, how likely the probe necessary finds it that the answer needs it, from the state at the end of the question. Faint ones are not needed.",
    ),
    h("p", {}, button),
    prompt,
    graph.element,
    said,
  );
}

/**
 * By quantity. The probe has a unit for each name and reads that of the next word, so each name is written next in
 * turn; the state that they are read from is the same, that at the end of the question.
 */
async function sharesOf(prompt, quantities, model) {
  const question = `${prompt.trimEnd()}\n`;
  const names = quantities.map(({ name }) => name);
  const input = names.map((name) => `\n${name[0].toUpperCase()}${name.slice(1)}`);
  const { data } = await post("score", { model: model.id, input });
  const ids = data.map(({ tokens }) => tokens.at(-1).token_id);
  const answers = await Promise.all(
    ids.map((id) =>
      post("completions", {
        model: model.id,
        prompt: question,
        max_tokens: 1,
        strategy: { kind: "greedy" },
        logit_bias: { [id]: CERTAIN },
        signals: [SIGNAL],
      }),
    ),
  );
  const read = answers.map(({ choices }) => choices[0].signals[0][SIGNAL]);
  return new Map(names.map((name, index) => [name, read[index]]).filter(([, share]) => share !== undefined));
}

function inWords(quantities, shares) {
  const told = quantities.filter(({ name }) => shares.has(name));
  const right = told.filter(({ name, needed }) => shares.get(name) >= 0.5 === needed);
  return `At 50% the probe is right about ${right.length} of ${told.length} quantities.`;
}
