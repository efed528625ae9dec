/** One finding: the claim, what was expected, what came, and how to find out oneself. */

import { h } from "../dom.js";
import { askView } from "./ask.js";
import { expectations } from "./expectations.js";
import { canShowPlan, planView } from "./plan.js";

/** @returns {HTMLElement} */
export function findingView(finding, catalogue) {
  const asked = finding.questions.filter(({ corpus }) => corpus === catalogue.corpus?.name);
  return h(
    "article",
    { class: "probe-card", "aria-labelledby": "finding-title" },
    h(
      "section",
      { class: "panel" },
      h("h2", { id: "finding-title" }, finding.title),
      h("p", { class: "positive" }, finding.claim),
      facts(finding),
      h("p", { class: "help" }, `How it is put to the test: ${finding.design}`),
    ),
    expectations(finding.criteria),
    h(
      "section",
      { class: "panel" },
      h("h2", {}, "Find out"),
      h("p", {}, h("code", {}, finding.command)),
      h("p", { class: "help" }, "It goes on where it was stopped. With --quick it only shows that it runs."),
      ...asked.map((question) => askView(question, catalogue)),
    ),
    finding.name === "planning" && canShowPlan(catalogue) ? planView(catalogue) : null,
  );
}

function facts({
  verdict,
  source,
  fixed,
  begun,
  seeds,
  stages_done: done,
  stages,
  processor_seconds: seconds,
  minutes,
}) {
  const rows = {
    verdict: h("span", { class: `verdict ${verdict}` }, verdict),
    source,
    "thresholds fixed": fixed
      ? `${fixed.date.slice(0, 16).replace("T", " ")}, ${fixed.commit.slice(0, 7)}`
      : "unknown",
    "first run": begun ? begun.slice(0, 16).replace("T", " ") : "not yet",
    "stages done": stages ? `${done} of ${stages}` : "cannot be run yet",
    seeds: seeds.join(", ") || "none",
    "processor time": `${(seconds / 3600).toFixed(1)} h${minutes ? ` of about ${(minutes / 60).toFixed(1)}` : ""}`,
  };
  return h(
    "dl",
    { class: "facts" },
    Object.entries(rows).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}
