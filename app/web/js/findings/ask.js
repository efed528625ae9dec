/** A question of a finding, asked where it stands: the answer, how unsure each token was, and what probes say. */

import { post } from "../api.js";
import { format } from "../colour.js";
import { firstRequest } from "../defaults.js";
import { h } from "../dom.js";
import { isProbe } from "../schema.js";
import { writeHash } from "../state.js";

const MOST_TOKENS = 200;

/**
 * @param {{prompt: string, note: string}} question
 * @param {{signals: any[], model: any}} catalogue of the served model, which is one of the question's corpus
 */
export function askView({ prompt, note }, catalogue) {
  const came = h("div", { class: "came", role: "status" });
  const button = h("button", { type: "button", onclick: ask }, "Ask");

  async function ask() {
    button.disabled = true;
    came.replaceChildren(h("p", { class: "hint" }, "Asking…"));
    try {
      const signals = signalsOf(catalogue);
      const { choices } = await post("completions", {
        model: catalogue.model.id,
        prompt,
        max_tokens: MOST_TOKENS,
        strategy: { kind: "greedy" },
        signals: signals.map(({ name }) => name),
      });
      came.replaceChildren(...answer(choices[0], signals));
    } catch (error) {
      came.replaceChildren(h("p", { class: "alert", role: "alert" }, error.message));
    } finally {
      button.disabled = false;
    }
  }

  return h(
    "div",
    { class: "ask" },
    h("p", {}, h("code", {}, prompt)),
    h("p", { class: "help" }, note),
    h(
      "p",
      {},
      button,
      " ",
      h(
        "a",
        { href: writeHash({ ...firstRequest(catalogue), prompt }) },
        "Ask the served model in the play tab",
      ),
    ),
    came,
  );
}

/** The entropy, and every probe that reads the served model. */
function signalsOf({ signals }) {
  return signals.filter(({ name }) => name === "entropy" || isProbe(name));
}

/** The text, and its tokens one under the other. */
function answer({ text, signals: tokens }, signals) {
  const told = signals.filter(({ name }) => tokens.some((token) => name in token));
  const head = ["token", ...told.map(({ name }) => name.replace("probe:", "").replaceAll("_", " "))];
  return [
    h("p", { class: "answer-text" }, text.trim()),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Tokens of the answer" },
      h(
        "table",
        { class: "plain" },
        h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
        h(
          "tbody",
          {},
          tokens
            .filter(({ token }) => token.trim())
            .map((token) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, token.token.trim()),
                ...told.map(({ name, unit }) => h("td", {}, name in token ? format(token[name], unit) : "")),
              ),
            ),
        ),
      ),
    ),
  ];
}
