/** The findings tab: claims about language models, what was expected, and what came. */

import { get } from "../api.js";
import { h } from "../dom.js";
import { findingView } from "./finding.js";

/** @param {HTMLElement} root the tab's panel */
export function findingsTab(root, catalogue) {
  const place = h("div", { class: "probe-place" });
  const nav = h("nav", { class: "probe-list", "aria-label": "Findings" });
  const status = h("p", { class: "hint", role: "status" }, "Loading the findings…");
  root.replaceChildren(status);
  let findings = [];
  let wanted = "";

  function show() {
    const finding = findings.find(({ name }) => name === wanted) ?? findings[0];
    nav.replaceChildren(
      ...findings.map(({ name, title, verdict }) =>
        h(
          "a",
          {
            href: `#findings/${name}`,
            class: "probe-link",
            "aria-current": name === finding.name ? "page" : null,
          },
          h("strong", {}, title),
          h("span", { class: `verdict ${verdict}` }, verdict),
        ),
      ),
    );
    place.replaceChildren(findingView(finding, catalogue));
  }

  async function load() {
    try {
      findings = (await get("findings")).data;
      root.replaceChildren(h("div", { class: "probes" }, nav, place));
      if (findings.length) show();
      else root.replaceChildren(h("p", { class: "hint" }, "This server came without findings."));
    } catch (error) {
      root.replaceChildren(h("p", { class: "alert", role: "alert" }, error.message));
    }
  }

  load();
  return {
    visit(name) {
      wanted = name;
      if (findings.length) show();
    },
  };
}
