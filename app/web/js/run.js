/** One strategy at work: its text, its signals, its graph, what it cost, and how to make it again. */

import { ApiError, events, post } from "./api.js";
import { announce, h, oncePerFrame } from "./dom.js";
import { graphView } from "./graph.js";
import { inspectorView } from "./inspector.js";
import { applyLive, everyToken, newRun, shownBranch, shownTokens, textOf } from "./live.js";
import { isProbe, readable } from "./schema.js";
import { snippetsView } from "./snippets-view.js";
import { timelineView } from "./timeline.js";
import { tokensView } from "./tokens.js";
import { count, duration, sentence } from "./wording.js";

const ENDINGS = { stop: "complete", length: "cut at its limit", abstain: "declined to answer" };

/** A step with the number that it ends in: one that follows from a wrong value is correct, but not the true one. */
function withWritten(step, text) {
  const [number] = [...text].slice(step.start, step.end).join("").match(/\d+(?=\D*$)/) ?? [];
  return { ...step, written: number === undefined ? null : Number(number) };
}

/**
 * @param {{catalogue: object, colour: () => object, scale: () => {low: number, high: number}}} context
 *   `colour`: the signal that colours the tokens, `scale`: between which of its values
 */
export function runView(context) {
  const { signals, model, corpus, theme } = context.catalogue;
  const ends = new Set(model.end_token_ids);
  const title = h("h2", {});
  const badge = h("span", { class: "verdict", hidden: true });
  const status = h("p", { class: "status" }, "Not started.");
  const problem = h("div", { class: "alert", role: "alert", hidden: true });
  const warnings = h("ul", { class: "warnings", "aria-label": "Warnings", hidden: true });
  const trace = h("ol", { class: "trace" });
  const traceBox = h("details", { hidden: true }, h("summary", {}, "Decisions"), trace);
  const snippets = snippetsView();
  const inspector = inspectorView(signals);
  const graph = graphView();
  const timeline = timelineView((index) => pick(shownTokens(run)[index], index, "timeline"));
  const tokens = tokensView((token, index) => pick(token, index, "tokens"), ends);
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
    warnings,
    paper,
    timeline.element,
    inspector.element,
    corpus ? [h("h3", { class: "over-graph" }, "The problem as a graph"), graph.element] : null,
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
    const sign = means === "certain" ? -1 : 1;
    const doubts = shownTokens(run).map(({ signals: { [name]: value } }) =>
      value === undefined ? -Infinity : sign * value,
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
    const scale = context.scale();
    const shown = shownTokens(run);
    placeholder.hidden =
      run.branches.size > 1 || shownBranch(run).tokens.length > 0 || shownBranch(run).scraps.length > 0;
    tokens.render(run, { signal, scale }, check?.steps ?? []);
    timeline.render({
      tokens: shown,
      cuts: shownBranch(run).scraps.map(({ position }) => position),
      ...axes(signal),
      top: scale.high,
      theme: theme(),
    });
    if (corpus) graph.render(check);
    showVerdict();
    status.textContent = statusText();
    traceBox.hidden = !done?.events?.length;
    judge();
  }

  /** Which signals the timeline shows: the chosen one and, beside it, doubt about tokens or about steps. */
  function axes(signal) {
    const named = (name) => signals.find((other) => other.name === name) ?? null;
    const withSparse = (one) => one && { ...one, sparse: isProbe(one.name) };
    if (!isProbe(signal.name))
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
    if (!corpus || !body || checked.busy || text === checked.text || check?.problem_error) return;
    if (check && !done && !/[.\n]\s*$/.test(text) && text.startsWith(checked.text)) return;
    checked = { text, busy: true };
    const of = run;
    try {
      const answer = await post("problems/check", { prompt: body.prompt, completion: text });
      if (of === run) check = { ...answer, steps: answer.steps.map((step) => withWritten(step, text)) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (of === run) check = { problem_error: error.message, unasked: true, graph: null, steps: [] };
    }
    if (of !== run) return;
    checked.busy = false;
    draw();
  }

  /** Once the text is complete and judged as a whole. */
  function showVerdict() {
    const whole = check?.problem_error || checked.text === textOf(shownTokens(run));
    const settled = done && check && !checked.busy && whole;
    element.dataset.judged = settled || (done && !corpus) ? "yes" : "no";
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
    if (chunk.warnings?.length) warn(chunk.warnings);
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

  function warn(texts) {
    warnings.replaceChildren(...texts.map((text) => h("li", {}, text)));
    warnings.hidden = false;
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
    /** The same for another view, if it is known for this prompt; else null. */
    graphOf: (prompt) => (body?.prompt === prompt && check?.graph ? { ...check, steps: [] } : null),
    /**
     * Stream an answer. Resolves once it ended, was stopped, or failed.
     * @param {object} request body of POST /v1/completions
     * @param {string} link the address of the page with the request in it
     * @throws {ApiError} the server refuses it
     */
    async start(request, name, signal, link) {
      tokens.clear();
      inspector.empty();
      const mine = (run = newRun());
      // The graph of the same problem stays, without its steps, so that nothing jumps.
      check = check?.graph && body?.prompt === request.prompt ? { ...check, steps: [] } : null;
      [usage, done, ending, checked] = [null, null, null, { text: null, busy: false }];
      body = request;
      started = performance.now();
      problem.hidden = badge.hidden = traceBox.hidden = warnings.hidden = true;
      placeholder.textContent = "Waiting for the first token…";
      title.textContent = readable(name);
      element.setAttribute("aria-label", readable(name));
      element.dataset.state = "running";
      snippets.show(request, link);
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
        placeholder.textContent = "Nothing was written.";
        if (error.name === "AbortError") return;
        throw error;
      }
    },
    /** Say why it failed, where that concerns no field of the form. */
    failed(message) {
      problem.hidden = false;
      problem.textContent = message;
    },
    /** Point to the form, where the reason stands. */
    refused: () => (placeholder.textContent = "Nothing was written: the field that is marked says why."),
    redraw: draw,
  };
}
