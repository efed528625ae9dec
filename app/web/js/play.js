/** The play tab: one request, answered by one or two strategies beside each other. */

import { aboutView } from "./about.js";
import { ApiError, post } from "./api.js";
import { colouringView } from "./colouring.js";
import { firstRequest } from "./defaults.js";
import { h } from "./dom.js";
import { bodyOf, tidy } from "./request.js";
import { runView } from "./run.js";
import { setupView } from "./setup.js";
import { readHash, writeHash } from "./state.js";

const PREVIEW_AFTER = 350;
const KEPT = 20; // requests whose texts are kept, for Back and Forward

/** @param {HTMLElement} root the tab's panel */
export function playTab(root, catalogue) {
  const setup = setupView(catalogue, {
    problem: previewSoon,
    run: go,
    stop: () => running?.abort(),
  });
  const colours = colouringView(catalogue, redraw);
  const context = { catalogue, colour: colours.chosen, scale: colours.scale };
  const columns = h("div", { class: "runs" });
  const stage = h("div", { class: "stage" }, colours.element, columns);
  root.replaceChildren(h("div", { class: "play" }, aboutView(catalogue), setup.element, stage));
  document.addEventListener("theme", redraw);
  const past = new Map(); // the views of the requests that were run, by their links
  let views = [];
  let running = null;
  let preview = 0;
  let shown = null; // the address whose request stands in the form

  function redraw() {
    for (const view of views) view.redraw();
  }

  /** Show what a request has written, or empty places for it. */
  function show(link, strategies) {
    views = past.get(link) ?? [runView(context), runView(context)];
    columns.replaceChildren(...views.map((view) => view.element));
    arrange(strategies);
    redraw();
  }

  function arrange(strategies) {
    views[1].element.hidden = strategies < 2;
    columns.classList.toggle("two", strategies > 1);
  }

  function previewSoon(prompt) {
    clearTimeout(preview);
    if (!catalogue.corpus) return;
    preview = setTimeout(async () => {
      if (!prompt.trim()) return;
      try {
        const check = await post("problems/check", { prompt, completion: "", model: catalogue.model.id });
        if (prompt === setup.read().prompt) for (const view of views) view.preview(check);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // Run will say what is wrong
      }
    }, PREVIEW_AFTER);
  }

  async function go() {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    const state = setup.read();
    setup.forgive();
    const link = remember(state);
    setup.running(true);
    // On a phone the text is below the form.
    if (stage.getBoundingClientRect().top > innerHeight * 0.7) stage.scrollIntoView({ block: "start" });
    await Promise.all(
      state.strategies.map(async (strategy, index) => {
        try {
          await views[index].start(bodyOf(state, index, catalogue), strategy.kind, mine.signal, link);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (setup.complain(error.param, error.message, index)) views[index].refused();
          else views[index].failed(error.message);
        }
      }),
    );
    if (running === mine) setup.running(false);
  }

  /** Put the request into the address, as a new entry of the history where another one was run before. */
  function remember(state) {
    const link = writeHash({ ...state, colour: colours.chosen().name });
    if (link !== location.hash) {
      const fresh = !readHash(location.hash).request; // an address without a request is not worth going back to
      history[fresh ? "replaceState" : "pushState"](null, "", link);
    }
    if (link !== shown && past.has(shown)) {
      const graph = views[0].graphOf(state.prompt);
      show(link, state.strategies.length);
      if (graph) for (const view of views) view.preview(graph); // so that nothing jumps
    } else {
      arrange(state.strategies.length);
    }
    past.delete(link);
    past.set(link, views);
    if (past.size > KEPT) past.delete(past.keys().next().value);
    shown = link;
    return new URL(link, location.href).href;
  }

  return {
    /** Fill in what the address asks for, with what it has written if it was run here; a link runs nothing. */
    visit(request) {
      if (shown !== null && (!request || location.hash === shown)) return;
      running?.abort();
      shown = location.hash;
      const first = firstRequest(catalogue);
      const state = tidy(request ?? first);
      show(shown, state.strategies.length);
      setup.forgive();
      setup.write(state);
      colours.choose(state.colour);
      if (!request && first.draw) setup.draw(first.draw);
    },
  };
}
