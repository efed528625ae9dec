/** The probes tab: what each probe reads, and what speaks for it and against it. */

import { h, prose } from "../dom.js";
import { readable } from "../schema.js";
import { cardView } from "./card.js";

/** @param {HTMLElement} root the tab's panel */
export function probesTab(root, { probes, signals }) {
  const place = h("div", { class: "probe-place" });
  const links = new Map(
    probes.map(({ name, card }) => [
      name,
      h(
        "a",
        { href: `#probes/${name}`, class: "probe-link" },
        h("strong", {}, readable(name)),
        h("span", {}, headline(card)),
      ),
    ]),
  );
  const nav = h("nav", { class: "probe-list", "aria-label": "Probes" }, [...links.values()]);
  root.replaceChildren(
    probes.length
      ? h("div", { class: "probes" }, nav, place)
      : h(
          "p",
          { class: "hint" },
          prose(
            "No probes are loaded, so the signals are those of the model's distribution alone. `docs/probes-tutorial.md` in the repository fits probes on a model of your own.",
          ),
        ),
  );

  return {
    visit(name) {
      const probe =
        probes.find((one) => one.name === name) ??
        probes.find((one) => one.name === "step_error") ??
        probes[0];
      if (!probe) return;
      for (const [other, link] of links) {
        if (other === probe.name) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      place.replaceChildren(
        cardView(
          probe,
          signals.find((signal) => signal.name === probe.signal),
        ),
      );
    },
  };
}

function headline(card) {
  const auroc = card.evidence?.evaluation?.domains?.id?.metrics?.auroc?.value;
  return typeof auroc === "number" ? `AUROC ${auroc.toFixed(3)}` : "not evaluated";
}
