/** The play tab: one request, answered by one or two strategies beside each other. */

import { ApiError, post } from "./api.js";
import { LEVELS, domainOf, format } from "./colour.js";
import { h, newId } from "./dom.js";
import { bodyOf, tidy } from "./request.js";
import { runView } from "./run.js";
import { setupView } from "./setup.js";
import { writeHash } from "./state.js";

const PREVIEW_AFTER = 350;
const FIRST = { prompt: "", seed: 1, strategies: [{ kind: "retry_upon_regret" }], colour: "entropy" };
const FIRST_PROBLEM = 3; // seed of the problem that a new visitor sees

/** @param {HTMLElement} root the tab's panel */
export function playTab(root, catalogue) {
  const setup = setupView(catalogue, {
    changed: () => {},
    problem: previewSoon,
    run: go,
    stop: () => running?.abort(),
  });
  const colours = colourView(catalogue.signals, () => views.forEach((view) => view.redraw()));
  const context = {
    signals: catalogue.signals,
    endId: catalogue.model.end_token_id,
    colour: colours.chosen,
    domain,
    theme: catalogue.theme,
    link: () => new URL(writeHash({ ...setup.read(), colour: colours.chosen().name }), location.href).href,
  };
  const views = [runView(context), runView(context)];
  const columns = h(
    "div",
    { class: "runs" },
    views.map((view) => view.element),
  );
  views[1].element.hidden = true;
  const stage = h("div", { class: "stage" }, colours.element, columns);
  root.replaceChildren(h("div", { class: "play" }, setup.element, stage));
  document.addEventListener("theme", () => views.forEach((view) => view.redraw()));
  let running = null;
  let preview = 0;
  let visited = null;

  /** One scale for both texts, so that their colours mean the same. */
  function domain() {
    const signal = colours.chosen();
    const [low, high] = domainOf(
      signal,
      views.flatMap((view) => view.values(signal.name)),
    );
    if (colours.scaled([low, high])) views.forEach((view) => view.redraw());
    return [low, high];
  }

  function previewSoon(prompt) {
    clearTimeout(preview);
    preview = setTimeout(async () => {
      if (!prompt.trim()) return;
      try {
        const check = await post("problems/check", { prompt, completion: "" });
        views.forEach((view) => view.preview(check));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // a model without a corpus has no graph to show
      }
    }, PREVIEW_AFTER);
  }

  async function go() {
    running?.abort();
    const mine = (running = new AbortController());
    const state = setup.read();
    setup.forgive();
    remember(state);
    setup.running(true);
    views[1].element.hidden = state.strategies.length < 2;
    columns.classList.toggle("two", state.strategies.length > 1);
    // On a phone the text is below the form.
    if (stage.getBoundingClientRect().top > innerHeight * 0.7) stage.scrollIntoView({ block: "start" });
    await Promise.all(
      state.strategies.map(async (strategy, index) => {
        try {
          await views[index].start(bodyOf(state, index, catalogue), strategy.kind, mine.signal);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          setup.complain(error.param, error.message, index);
        }
      }),
    );
    if (running === mine) setup.running(false);
  }

  function remember(state) {
    visited = writeHash({ ...state, colour: colours.chosen().name });
    history.replaceState(null, "", visited);
  }

  return {
    /** Show what the address asks for: the request of a link is run at once. */
    visit(request) {
      if (request) {
        if (location.hash === visited) return;
        const state = tidy(request);
        setup.write(state);
        colours.choose(state.colour);
        go();
      } else if (visited === null) {
        visited = location.hash;
        setup.write(tidy(FIRST));
        setup.draw(FIRST_PROBLEM);
      }
    },
  };
}

/** Which signal the tokens are coloured by, and what the colours mean. */
function colourView(signals, changed) {
  const id = newId("colour");
  const group = (label, names) =>
    h(
      "optgroup",
      { label },
      names.map(({ name }) => h("option", { value: name }, name.replace("probe:", "").replaceAll("_", " "))),
    );
  const select = h(
    "select",
    {
      id,
      onchange: () => {
        tell();
        changed();
      },
    },
    group(
      "Free",
      signals.filter(({ name }) => !name.startsWith("probe:")),
    ),
    group(
      "Probes",
      signals.filter(({ name }) => name.startsWith("probe:")),
    ),
  );
  const low = h("span", { class: "legend-end" }, "");
  const high = h("span", { class: "legend-end" }, "");
  const steps = Array.from({ length: LEVELS }, (_, level) =>
    h("span", { class: "token", "data-heat": level }, "\u2002"),
  );
  const meaning = h("p", { class: "help" });
  const chosen = () => signals.find(({ name }) => name === select.value);
  let domain = [0, 1];

  function tell() {
    const signal = chosen();
    const unit = signal.unit === "probability" ? "" : ` ${signal.unit.replace("^2", "²")}`;
    const ends = domain.map((value) => `${format(value, signal.unit)}`);
    if (signal.higher_means === "certain") ends.reverse();
    low.textContent = ends[0];
    high.textContent = ends[1] + unit;
    meaning.textContent = signal.description.replace("..", ".").replace(" GET /v1/probes has its card.", "");
  }

  tell();
  return {
    element: h(
      "div",
      { class: "colouring" },
      h("label", { for: id }, "Colour by"),
      select,
      h(
        "div",
        {
          class: "legend",
          role: "img",
          "aria-label":
            "Scale of the colours: the stronger the colour and the thicker the bar, the more doubt",
        },
        low,
        h("span", { class: "legend-steps" }, steps),
        high,
      ),
      meaning,
    ),
    chosen,
    choose(name) {
      if (signals.some((signal) => signal.name === name)) select.value = name;
      tell();
    },
    /** Tell where the scale ends; true if that is news. */
    scaled(next) {
      if (String(next) === String(domain)) return false;
      domain = next;
      tell();
      return true;
    },
  };
}
