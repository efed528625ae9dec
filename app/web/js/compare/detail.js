/** One comparison: how far it is, what it has found, and what can be done with it. */

import { ApiError, address, apiKey, events, get, post, remove, text } from "../api.js";
import { h, renew } from "../dom.js";
import { duration, nameOf } from "../wording.js";
import { resultsView } from "./results.js";
import { textsView } from "./texts.js";

const BETWEEN_REPORTS = 1500;
const BEFORE_ANOTHER_TRY = 2000;
const AWAY = [0, 502, 503, 504]; // no answer, or one that says to come back

/**
 * @param {string} id
 * @param {object} catalogue
 * @param {{changed: (status: object) => void, deleted: () => void, again: (spec: object) => void, signal: AbortSignal}} on
 */
export function detailView(id, { signals, model }, on) {
  const title = h("h2", {}, id);
  const state = h("span", { class: "verdict" });
  const progress = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const said = h("p", { class: "status", role: "status" });
  const alert = h("p", { class: "alert", role: "alert", hidden: true });
  const results = h("div", { class: "result-place" });
  const cancel = button("Cancel", () => act(() => post(`compare/${id}/cancel`, {})));
  const resume = button("Resume", () =>
    act(async () => {
      show(await post(`compare/${id}/resume`, {}));
      follow();
    }),
  );
  const again = button("Use as a template", () => act(async () => on.again(await get(`compare/${id}/spec`))));
  const drop = button("Delete", confirmDelete);
  const element = h(
    "article",
    { class: "comparison" },
    h(
      "section",
      { class: "panel" },
      h("header", { class: "run-head" }, title, state, said),
      progress,
      alert,
      h(
        "div",
        { class: "actions" },
        reportLink(id, "html", "Report"),
        reportLink(id, "json", "report.json"),
        again,
        cancel,
        resume,
        drop,
      ),
    ),
    results,
  );
  let following = false;
  let asking = false;
  let asked = 0;
  let reports = 0;

  async function act(work) {
    alert.hidden = true;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      alert.textContent = error.message;
      alert.hidden = false;
    }
  }

  function confirmDelete() {
    if (drop.dataset.sure)
      return act(async () => {
        await remove(`compare/${id}`);
        on.deleted();
      });
    drop.dataset.sure = "yes";
    drop.textContent = "Delete it with all it has found";
    drop.addEventListener(
      "blur",
      () => {
        delete drop.dataset.sure;
        drop.textContent = "Delete";
      },
      { once: true },
    );
  }

  function show(status) {
    title.textContent = nameOf(status);
    element.dataset.status = status.status;
    state.textContent = {
      queued: "waiting",
      running: "running",
      done: "✓ done",
      failed: "✗ failed",
      cancelled: "cancelled",
      damaged: "✗ damaged",
    }[status.status];
    state.className = `verdict ${{ done: "right", failed: "wrong", damaged: "wrong" }[status.status] ?? "neutral"}`;
    const total = status.total + status.samples_total;
    const done = status.done + status.samples_done;
    progress.max = total || 1;
    progress.value = done;
    const left = status.eta_s === null ? "" : ` · about ${duration(status.eta_s)} left`;
    const alone =
      status.done === status.total && status.samples_done < status.samples_total
        ? " · measuring latency alone"
        : "";
    said.textContent = `${status.done.toLocaleString("en")} of ${status.total.toLocaleString("en")} answers, ${status.arms.length} arms, ${status.problems} problems${left}${alone}`;
    alert.textContent = status.error ?? "";
    alert.hidden = !status.error;
    const active = status.status === "queued" || status.status === "running";
    cancel.hidden = !active;
    drop.hidden = active;
    resume.hidden = !["failed", "cancelled"].includes(status.status);
    on.changed(status);
  }

  /** The report so far, not more often than it is worth; `last` insists. */
  async function report(last) {
    if (!last && (asking || performance.now() - asked < BETWEEN_REPORTS)) return;
    asking = true;
    const mine = ++reports;
    try {
      const found = await get(`compare/${id}/report.json`, on.signal);
      const texts =
        found.measure === null
          ? await textsView(
              id,
              found.arms.map(({ name }) => name),
              signals.find(({ name }) => name === found.spec.signals[0]),
              model.vocab_size,
            )
          : "";
      if (mine === reports) renew(results, resultsView(found), texts);
    } finally {
      asking = false;
      asked = performance.now();
    }
  }

  /** Show its progress to the end; a server that goes away is waited for, since it goes on when it is back. */
  async function follow() {
    if (following) return;
    following = true;
    try {
      await toTheEnd();
    } finally {
      following = false;
    }
  }

  async function toTheEnd() {
    for (;;) {
      try {
        for await (const status of events("GET", `compare/${id}/events`, undefined, on.signal)) {
          show(status);
          if (status.done > 0) report(false).catch(() => {}); // the one that follows says what is wrong, if it stays
        }
        return await report(true);
      } catch (error) {
        if (error.name === "AbortError" || on.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        const gone = AWAY.includes(error.status);
        alert.textContent = error.message + (gone ? " Trying again…" : "");
        alert.hidden = false;
        if (!gone) return;
        await new Promise((resolve) => setTimeout(resolve, BEFORE_ANOTHER_TRY));
      }
    }
  }

  follow();
  return element;
}

function button(label, onclick) {
  return h("button", { type: "button", class: "secondary", onclick }, label);
}

/** A link; where the server wants a key, which a link cannot carry, a download instead. */
function reportLink(id, kind, label) {
  const path = `compare/${id}/report.${kind}`;
  if (!apiKey())
    return h("a", { class: "button", href: address(path), target: "_blank", rel: "noopener" }, label);
  return button(`Download ${label}`, async () => {
    const url = URL.createObjectURL(new Blob([await text(path)]));
    h("a", { href: url, download: `report-${id}.${kind}` }).click();
    URL.revokeObjectURL(url);
  });
}
