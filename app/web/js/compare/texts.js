/** Texts of the arms side by side, for prompts whose answers nobody knows. */

import { get } from "../api.js";
import { format, levelOf } from "../colour.js";
import { h } from "../dom.js";
import { scaleOf } from "../scale.js";

const MOST = 50;

/**
 * @param {string[]} arms
 * @param {object|undefined} signal what tokens are coloured by, if they were kept
 * @param {number} vocabulary of the model
 */
export async function textsView(id, arms, signal, vocabulary) {
  const [{ data: problems }, { data }] = await Promise.all([
    get(`compare/${id}/problems?limit=${MOST}`),
    get(`compare/${id}/results?limit=${MOST * arms.length}`),
  ]);
  const paint = signal && { signal, scale: scaleOf(signal, vocabulary) };
  const rows = new Map(problems.map((problem) => [problem.id, { problem, byArm: new Map() }]));
  for (const outcome of data) rows.get(outcome.problem)?.byArm.set(outcome.arm, outcome);
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Texts side by side"),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": "Texts side by side" },
      h(
        "table",
        { class: "plain texts" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "prompt"),
            arms.map((arm) => h("th", { scope: "col" }, arm)),
          ),
        ),
        h(
          "tbody",
          {},
          [...rows.values()].map(({ problem, byArm }) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, h("p", { class: "asked" }, problem.prompt.trim())),
              arms.map((arm) => textCell(byArm.get(arm), paint)),
            ),
          ),
        ),
      ),
    ),
  );
}

function textCell(outcome, paint) {
  if (!outcome) return h("td", {}, "–");
  const cost = `${outcome.completion_tokens} tokens kept, ${outcome.discarded_tokens} discarded`;
  const text =
    outcome.tokens && paint ? outcome.tokens.map((token) => coloured(token, paint)) : outcome.text.trim();
  return h("td", {}, h("p", { class: "written" }, text), h("p", { class: "help" }, cost));
}

function coloured({ text, signals }, { signal, scale }) {
  const value = signals[signal.name] ?? null;
  if (value === null) return text;
  return h(
    "span",
    {
      class: "token",
      "data-heat": levelOf(signal, value, [scale.low, scale.high]),
      title: `${signal.name} ${format(value, signal.unit)}`,
    },
    text,
  );
}
