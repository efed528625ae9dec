/** The compare tab: the comparisons that the server keeps, a form for a new one, and the one that is looked at. */

import { ApiError, get } from "../api.js";
import { h, reconcile } from "../dom.js";
import { nameOf } from "../wording.js";
import { builderView } from "./builder.js";
import { detailView } from "./detail.js";

/** @param {HTMLElement} root the tab's panel */
export function compareTab(root, catalogue) {
  const place = h("div", { class: "compare-place" });
  const fresh = h(
    "a",
    { href: "#compare", class: "probe-link" },
    h("strong", {}, "New comparison"),
    h("span", {}, "choose arms and problems"),
  );
  const kept = h("div", { class: "kept" });
  const nav = h("nav", { class: "probe-list", "aria-label": "Comparisons" }, fresh, kept);
  const builder = builderView(catalogue, (status) => {
    remember(status);
    location.hash = `#compare/${status.id}`;
  });
  root.replaceChildren(h("div", { class: "probes" }, nav, place));
  const statuses = new Map();
  const links = new Map(); // by id, so that the focus stays on one while it changes
  let shown = "";
  let watching = null;

  function remember(status) {
    statuses.set(status.id, status);
    list();
  }

  function list() {
    const sorted = [...statuses.values()].sort((one, other) => other.created - one.created);
    reconcile(kept, sorted.map(entry));
    mark();
  }

  function entry(status) {
    const { id, done, total, created } = status;
    const when = new Date(created * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const far =
      status.status === "running" && total ? `running, ${Math.floor((100 * done) / total)}%` : status.status;
    if (!links.has(id)) links.set(id, h("a", { href: `#compare/${id}`, class: "probe-link" }));
    const link = links.get(id);
    link.replaceChildren(h("strong", {}, nameOf(status)), h("span", {}, `${far} · ${when}`));
    return link;
  }

  function mark() {
    for (const link of nav.querySelectorAll("a")) {
      if (link.hash === (shown ? `#compare/${shown}` : "#compare")) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  async function refresh() {
    try {
      const { data } = await get("compare");
      statuses.clear();
      for (const status of data) statuses.set(status.id, status);
      list();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      kept.replaceChildren(h("p", { class: "hint" }, error.message));
    }
  }

  return {
    visit(id) {
      if (id && id === shown) return;
      shown = id;
      watching?.abort();
      watching = new AbortController();
      refresh();
      if (!id) place.replaceChildren(builder.element);
      else {
        place.replaceChildren(
          detailView(id, catalogue, {
            changed: remember,
            deleted: () => (location.hash = "#compare"),
            again(spec) {
              builder.write(spec);
              location.hash = "#compare";
            },
            signal: watching.signal,
          }),
        );
      }
      mark();
    },
  };
}
