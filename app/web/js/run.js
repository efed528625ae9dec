/** One strategy at work: its text, its signals, its graph, what it cost, and how to make it again. */

import { ApiError, events, post } from "./api.js";
import { announce, h, oncePerFrame } from "./dom.js";
import { graphView } from "./graph.js";
import { inspectorView } from "./inspector.js";
import { applyLive, everyToken, newRun, shownBranch, shownTokens, textOf } from "./live.js";
import { readable } from "./schema.js";
import { snippetsView } from "./snippets-view.js";
import { timelineView } from "./timeline.js";
import { tokensView } from "./tokens.js";
import { count, duration, sentence } from "./wording.js";

const ENDINGS = { stop: "complete", length: "cut at its limit", abstain: "declined to answer" };

/**
 * @param {{signals: object[], colour: () => object, domain: () => [number, number], theme: () => string,
 *   link: () => string, endId: number|null}} context `domain`: between which values the chosen signal is coloured
 */
export function runView(context) {
  const title = h("h2", {});
  const badge = h("span", { class: "verdict", hidden: true });
  const status = h("p", { class: "status" }, "Not started.");
  const problem = h("div", { class: "alert", role: "alert", hidden: true });
  const trace = h("ol", { class: "trace" });
  const traceBox = h("details", { hidden: true }, h("summary", {}, "Decisions"), trace);
  const snippets = snippetsView(context.link);
  const inspector = inspectorView(context.signals);
  const graph = graphView();
  const timeline = timelineView((index) => pick(shownTokens(run)[index], index, "timeline"));
  const tokens = tokensView((token, index) => pick(token, index, "tokens"), context.endId);
  const placeholder = h(
    "p",
    { class: "hint placeholder" },
    "Press Run. What the model writes appears here, token by token, with its doubts.",
  );
  const paper = h("div", { class: "paper" }, placeholder, tokens.element);
  const element = h(
    "section",
    { class: "run" },
    h("header", {}, title, badge, status),
    problem,
    paper,
    timeline.element,
    inspector.element,
    h("h3", { class: "over-graph" }, "The problem as a graph"),
    graph.element,
    traceBox,
    snippets.element,
  );

  let run = newRun();
  let usage = null;
  let done = null;
  let body = null;
  let started = 0;
  let ending = null; // what ended the writing before the answer was complete
  let check = null;
  let checked = { text: null, busy: false };
  const draw = oncePerFrame(render);

  function pick(token, index, from) {
    if (!token) return;
    inspector.show(token, index, index === null ? null : stepAt(index));
    if (from === "timeline") tokens.highlight(index);
    else timeline.select(index);
  }

  /** Begin with the token that has most to tell. */
  function pickMostDoubtful() {
    const { name, higher_means: means } = context.colour();
    const doubts = shownTokens(run).map(
      (token) => (token.signals[name] ?? -Infinity) * (means === "certain" ? -1 : 1),
    );
    const index = doubts.indexOf(Math.max(...doubts));
    if (index >= 0) pick(shownTokens(run)[index], index, "timeline");
  }

  function stepAt(index) {
    const end = [...textOf(shownTokens(run).slice(0, index + 1))].length;
    return check?.steps.find((step) => step.start < end && end <= step.end + 1) ?? null;
  }

  function render() {
    const signal = context.colour();
    const domain = context.domain();
    const shown = shownTokens(run);
    placeholder.hidden =
      run.branches.size > 1 || shownBranch(run).tokens.length > 0 || shownBranch(run).scraps.length > 0;
    tokens.render(run, { signal, domain }, check?.steps ?? []);
    timeline.render({
      tokens: shown,
      cuts: shownBranch(run).scraps.map(({ position }) => position),
      ...axes(signal),
      theme: context.theme(),
    });
    graph.render(check);
    showVerdict();
    status.textContent = statusText();
    traceBox.hidden = !done?.events?.length;
    judge();
  }

  /** Which signals the timeline shows: the chosen one and, beside it, doubt about tokens or about steps. */
  function axes(signal) {
    const named = (name) => context.signals.find((other) => other.name === name) ?? null;
    const withSparse = (one) => one && { ...one, sparse: one.name.startsWith("probe:") };
    if (!signal.name.startsWith("probe:"))
      return { left: withSparse(signal), right: withSparse(named("probe:step_error")) };
    return { left: withSparse(named("entropy") ?? signal), right: withSparse(signal) };
  }

  function statusText() {
    if (!body) return "Not started.";
    const kept = usage?.completion_tokens ?? shownTokens(run).length;
    const lost = usage ? usage.completion_tokens_details.discarded_tokens : everyToken(run).size - kept;
    const parts = [`${count(kept, "token")} kept`, `${lost} discarded`];
    if (done) parts.push(duration(done.seconds), ENDINGS[done.reason] ?? done.reason);
    else parts.push(ending ?? "writing…");
    return parts.join(" · ");
  }

  /** Ask the checker about the text so far; one question at a time, the newest text next. */
  async function judge() {
    const text = textOf(shownTokens(run));
    if (!body || checked.busy || text === checked.text || check?.problem_error) return;
    if (check && !done && !/[.\n]\s*$/.test(text) && text.startsWith(checked.text)) return;
    checked = { text, busy: true };
    const of = run;
    try {
      const answer = await post("problems/check", { prompt: body.prompt, completion: text });
      if (of === run) check = answer;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (of === run) check = { problem_error: error.message, graph: null, steps: [] };
    }
    if (of !== run) return;
    checked.busy = false;
    draw();
  }

  /** Once the text is complete and judged as a whole. */
  function showVerdict() {
    const whole = check?.problem_error || checked.text === textOf(shownTokens(run));
    const settled = done && check && !checked.busy && whole;
    element.dataset.judged = settled ? "yes" : "no";
    badge.hidden = !settled || check.problem_error !== null;
    if (badge.hidden) return;
    const { correct, answer_correct: answered, answer, expected, steps } = check;
    badge.className = `verdict ${correct ? "right" : "wrong"}`;
    badge.textContent = correct
      ? "✓ right"
      : answered
        ? "✗ answer right, a step is not"
        : `✗ wrong${answer ? `: ${answer}, not ${expected}` : ""}`;
    badge.title = steps.find(({ verdict }) => verdict !== "correct")?.detail ?? "";
  }

  function take(chunk) {
    for (const item of chunk.live ?? []) if (item.index === 0) applyLive(run, item);
    if (chunk.usage) usage = chunk.usage;
    for (const choice of chunk.choices) {
      if (choice.finish_reason === null) continue;
      done = {
        reason: choice.stop_reason === "abstain" ? "abstain" : choice.finish_reason,
        events: choice.events ?? [],
        seconds: (performance.now() - started) / 1000,
      };
    }
    draw();
  }

  function finish() {
    trace.replaceChildren(...done.events.map((event) => h("li", {}, sentence(event))));
    traceBox.firstChild.textContent = `Decisions (${done.events.length})`;
    announce(`${title.textContent}: ${statusText()}`);
    render();
    pickMostDoubtful();
  }

  return {
    element,
    /** Show the graph of a problem that nothing has been written for yet. */
    preview(answer) {
      if (body) return;
      check = answer;
      graph.render(check);
    },
    /**
     * Stream an answer. Resolves once it ended, was stopped, or failed.
     * @param {object} request body of POST /v1/completions
     * @throws {ApiError} the server refuses it
     */
    async start(request, name, signal) {
      tokens.clear();
      inspector.empty();
      const mine = (run = newRun());
      // The graph of the same problem stays, without its steps, so that nothing jumps.
      check = check?.graph && body?.prompt === request.prompt ? { ...check, steps: [] } : null;
      [usage, done, ending, checked] = [null, null, null, { text: null, busy: false }];
      body = request;
      started = performance.now();
      problem.hidden = badge.hidden = traceBox.hidden = true;
      title.textContent = readable(name);
      element.setAttribute("aria-label", readable(name));
      element.dataset.state = "running";
      snippets.show(request);
      draw();
      try {
        const stream = { ...request, stream: true, stream_options: { include_usage: true, live: true } };
        for await (const chunk of events("POST", "completions", stream, signal))
          if (run === mine) take(chunk);
        if (run !== mine) return; // it was run again meanwhile
        finish();
        element.dataset.state = "done";
      } catch (error) {
        if (run !== mine) return;
        element.dataset.state = "failed";
        ending = error.name === "AbortError" ? "stopped" : "failed";
        draw();
        if (error.name === "AbortError") return;
        problem.hidden = false;
        problem.textContent = error.message;
        throw error;
      }
    },
    redraw: draw,
    /** The values of a signal at all tokens so far. */
    values: (name) =>
      [...everyToken(run)].map((token) => token.signals[name]).filter((value) => value !== undefined),
  };
}
