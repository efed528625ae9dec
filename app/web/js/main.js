/** The page: waits for the model, then shows a tab at a time, as the address says. */

import { ApiError, get, onKeyWanted, outside } from "./api.js";
import { readCatalogue } from "./catalogue.js";
import { compareTab } from "./compare/tab.js";
import { h } from "./dom.js";
import { findingsTab } from "./findings/tab.js";
import { modelPicker, wantedModel } from "./models.js";
import { playTab } from "./play.js";
import { probesTab } from "./probes/tab.js";
import { readHash } from "./state.js";

const TABS = ["play", "compare", "probes", "findings"];
const MAKERS = { play: playTab, compare: compareTab, probes: probesTab, findings: findingsTab };
const WAIT = 1000;

const byId = (id) => document.getElementById(id);
const open = {};

async function ready() {
  for (;;) {
    const answer = await outside("health/ready").catch(() => null);
    if (answer?.ok) return;
    const health = answer
      ? await answer.json()
      : { status: "loading", detail: "The server cannot be reached." };
    if (health.status === "failed") throw new ApiError(health.detail);
    byId("boot").firstElementChild.textContent = health.detail;
    await new Promise((resolve) => setTimeout(resolve, WAIT));
  }
}

function show(catalogue) {
  const { tab, rest, request } = readHash(location.hash);
  const name = TABS.includes(tab) ? tab : "play";
  for (const other of TABS) {
    const selected = other === name;
    byId(`tab-${other}`).setAttribute("aria-selected", String(selected));
    byId(`tab-${other}`).tabIndex = selected ? 0 : -1;
    byId(`panel-${other}`).hidden = !selected;
  }
  open[name] ??= MAKERS[name](byId(`panel-${name}`), catalogue);
  open[name].visit(name === "play" ? request : rest);
}

function listenToTabs() {
  const buttons = TABS.map((name) => byId(`tab-${name}`));
  const places = { play: "#play" };
  const remember = () => (places[readHash(location.hash).tab] = location.hash);
  for (const [index, button] of buttons.entries()) {
    button.addEventListener("click", () => {
      remember();
      location.hash = places[TABS[index]] ?? `#${TABS[index]}`;
    });
    button.addEventListener("keydown", (event) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: TABS.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = buttons[(to + TABS.length) % TABS.length];
      next.focus();
      next.click();
    });
  }
}

function listenToTheme() {
  const toggle = byId("theme-toggle");
  const root = document.documentElement;
  const set = (theme) => {
    root.dataset.theme = theme;
    toggle.setAttribute("aria-pressed", String(theme === "dark"));
    document.dispatchEvent(new Event("theme"));
  };
  set(root.dataset.theme);
  toggle.addEventListener("click", () => {
    set(root.dataset.theme === "dark" ? "light" : "dark");
    localStorage.setItem("demur.theme", root.dataset.theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
    if (!localStorage.getItem("demur.theme")) set(matches ? "dark" : "light");
  });
}

/** One dialog, however many requests want the key at once. */
function keyDialog() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));
  const input = /** @type {HTMLInputElement} */ (byId("key-input"));
  let asking = null;
  return (wrong) => {
    byId("key-wrong").hidden = !wrong;
    asking ??= new Promise((resolve) => {
      dialog.returnValue = "";
      dialog.addEventListener(
        "close",
        () => {
          asking = null;
          resolve(dialog.returnValue === "use" ? input.value : null);
        },
        { once: true },
      );
      dialog.showModal();
    });
    return asking;
  };
}

const noModel = (wanted, models) =>
  `This server has no model "${wanted}"; there are ${models.map(({ id }) => id).join(", ")}.`;

async function boot() {
  listenToTheme();
  listenToTabs();
  onKeyWanted(keyDialog());
  const place = byId("boot");
  try {
    await ready();
    const { data: models } = await get("models");
    const wanted = wantedModel();
    const picker = modelPicker(models, wanted);
    if (picker) byId("model").after(picker);
    const model = wanted === null ? models[0] : models.find(({ id }) => id === wanted);
    if (!model) throw new ApiError(noModel(wanted, models));
    if (!model.loaded) place.firstElementChild.textContent = `Loading ${model.id}…`;
    const catalogue = await readCatalogue(model);
    const size = `${(catalogue.model.parameters / 1e6).toFixed(1)}M parameters`;
    byId("model").textContent = picker ? size : `${model.id} · ${size}`;
    byId("signal-names").replaceChildren(
      ...catalogue.signals.map(({ name }) => h("option", { value: name })),
    );
    addEventListener("hashchange", () => show(catalogue));
    place.remove();
    show(catalogue);
  } catch (error) {
    byId("main").prepend(place);
    place.replaceChildren(h("p", { class: "alert", role: "alert" }, error.message));
    if (!(error instanceof ApiError)) throw error;
  }
}

boot();
