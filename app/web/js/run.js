/** One strategy at work: its text, its signals, its graph, what it cost, and how to make it again. */

import { axesOf, isBegun, mostDoubtful, newAnswer, statusOf, take, writtenText } from "./answer.js";
import { ApiError, events, post } from "./api.js";
import { checker, stepAt, verdictOf } from "./check.js";
import { announce, h, oncePerFrame } from "./dom.js";
import { graphView } from "./graph.js";
import { inspectorView } from "./inspector.js";
import { shownBranch, shownTokens } from "./live.js";
import { readable } from "./schema.js";
import { snippetsView } from "./snippets-view.js";
import { timelineView } from "./timeline.js";
import { tokensView } from "./tokens.js";
import { sentence } from "./wording.js";

/**
 * @param {{catalogue: Record<string, any>, colour: () => Record<string, any>,
 *   scale: () => {low: number, high: number}}} context
 *   `colour`: the signal that colours the tokens, `scale`: between which of its values
 */
export function runView(context) {
  const { signals, model, corpus, theme } = context.catalogue;
  const head = headView();
  const snippets = snippetsView();
  const inspector = inspectorView(signals);
  const graph = graphView();
  const timeline = timelineView((index) => pick(shownTokens(answer.run)[index], index, "timeline"));
  const tokens = tokensView((token, index) => pick(token, index, "tokens"), new Set(model.end_token_ids));
  const decisions = decisionsView();
  const placeholder = h(
    "p",
    { class: "hint placeholder" },
    "Press Run. What the model writes appears here, token by token, with its doubts.",
  );
  const element = h(
    "section",
    { class: "run" },
    head.elements,
    h("div", { class: "paper" }, placeholder, tokens.element),
    timeline.element,
    inspector.element,
    corpus ? [h("h3", { class: "over-graph" }, "The problem as a graph"), graph.element] : null,
    decisions.element,
    snippets.element,
  );

  let answer = newAnswer();
  const check = checker((prompt, completion) => askChecker(prompt, completion, model.id));
  const draw = oncePerFrame(render);

  function pick(token, index, from) {
    if (!token) return;
    const steps = check.found?.steps ?? [];
    inspector.show(token, index, index === null ? null : stepAt(steps, shownTokens(answer.run), index));
    if (from === "timeline") tokens.highlight(index);
    else timeline.select(index);
  }

  function render() {
    const signal = context.colour();
    const scale = context.scale();
    placeholder.hidden = isBegun(answer);
    tokens.render(answer.run, { signal, scale }, check.found?.steps ?? []);
    timeline.render({
      tokens: shownTokens(answer.run),
      cuts: shownBranch(answer.run).scraps.map(({ position }) => position),
      ...axesOf(signals, signal),
      top: scale.high,
      theme: theme(),
    });
    if (corpus) graph.render(check.found);
    const settled = answer.done && check.knows(writtenText(answer));
    element.dataset.judged = settled || (answer.done && !corpus) ? "yes" : "no";
    head.say(statusOf(answer), settled && check.found.problem_error === null ? verdictOf(check.found) : null);
    decisions.element.hidden = !answer.done?.events.length;
    judge();
  }

  async function judge() {
    const { body, done } = answer;
    if (corpus && body && (await check.look(body.prompt, writtenText(answer), done !== null))) draw();
  }

  function finish() {
    decisions.show(answer.done.events);
    announce(`${element.getAttribute("aria-label")}: ${statusOf(answer)}`);
    render();
    const shown = shownTokens(answer.run);
    const index = mostDoubtful(shown, context.colour());
    if (index >= 0) pick(shown[index], index, "timeline"); // begin with the token that has most to tell
  }

  /** Forget what was written before. */
  function begin(request, name, link) {
    tokens.clear();
    inspector.empty();
    // The graph of the same problem stays, so that nothing jumps.
    check.begin(answer.body?.prompt === request.prompt ? check.graph() : null);
    answer = newAnswer(request);
    head.begin(readable(name));
    decisions.element.hidden = true;
    placeholder.textContent = "Waiting for the first token…";
    element.setAttribute("aria-label", readable(name));
    element.dataset.state = "running";
    snippets.show(request, link);
    draw();
    return answer;
  }

  return {
    element,
    /** Show the graph of a problem that nothing has been written for yet. */
    preview(found) {
      if (answer.body) return;
      check.begin(found);
      graph.render(found);
    },
    /** The same for another view, if it is known for this prompt; else null. */
    graphOf: (prompt) => (answer.body?.prompt === prompt ? check.graph() : null),
    /**
     * Stream an answer. Resolves once it ended, was stopped, or failed.
     * @param {Record<string, any>} request body of POST /v1/completions
     * @param {string} link the address of the page with the request in it
     * @throws {ApiError} the server refuses it
     */
    async start(request, name, signal, link) {
      const mine = begin(request, name, link);
      const started = performance.now();
      try {
        const stream = { ...request, stream: true, stream_options: { include_usage: true, live: true } };
        for await (const chunk of events("POST", "completions", stream, signal)) {
          if (answer !== mine) continue; // it was run again meanwhile
          take(mine, chunk, (performance.now() - started) / 1000);
          if (chunk.warnings?.length) head.warn(chunk.warnings);
          draw();
        }
        if (answer !== mine) return;
        finish();
        element.dataset.state = "done";
      } catch (error) {
        if (answer !== mine) return;
        element.dataset.state = "failed";
        mine.ending = error.name === "AbortError" ? "stopped" : "failed";
        draw();
        placeholder.textContent = "Nothing was written.";
        if (error.name === "AbortError") return;
        throw error;
      }
    },
    /** Say why it failed, where that concerns no field of the form. */
    failed: head.fail,
    /** Point to the form, where the reason stands. */
    refused() {
      placeholder.textContent = "Nothing was written: the field that is marked says why.";
    },
    redraw: draw,
  };
}

async function askChecker(prompt, completion, model) {
  try {
    return await post("problems/check", { prompt, completion, model });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { problem_error: error.message, unasked: true, graph: null, steps: [] };
  }
}

/** What stands above the text: the strategy, how far it is, what is wrong. */
function headView() {
  const title = h("h2", {});
  const badge = h("span", { class: "verdict", hidden: true });
  const status = h("p", { class: "status" }, "Not started.");
  const problem = h("div", { class: "alert", role: "alert", hidden: true });
  const warnings = h("ul", { class: "warnings", "aria-label": "Warnings", hidden: true });
  return {
    elements: [h("header", {}, title, badge, status), problem, warnings],
    begin(name) {
      title.textContent = name;
      problem.hidden = badge.hidden = warnings.hidden = true;
    },
    /** @param {{right: boolean, text: string, why: string}|null} verdict of the whole, once there is one */
    say(text, verdict) {
      status.textContent = text;
      badge.hidden = verdict === null;
      if (!verdict) return;
      badge.className = `verdict ${verdict.right ? "right" : "wrong"}`;
      badge.textContent = verdict.text;
      badge.title = verdict.why;
    },
    warn(texts) {
      warnings.replaceChildren(...texts.map((text) => h("li", {}, text)));
      warnings.hidden = false;
    },
    fail(message) {
      problem.hidden = false;
      problem.textContent = message;
    },
  };
}

/** What the strategy did, in words, to be unfolded. */
function decisionsView() {
  const trace = h("ol", { class: "trace" });
  const summary = h("summary", {}, "Decisions");
  return {
    element: h("details", { hidden: true }, summary, trace),
    show(events) {
      trace.replaceChildren(...events.map((event) => h("li", {}, sentence(event))));
      summary.textContent = `Decisions (${events.length})`;
    },
  };
}
