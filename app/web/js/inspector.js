/** Everything about one token: its signals, what probes read, and what could have been written instead. */

import { format, percent } from "./colour.js";
import { h } from "./dom.js";
import { isProbe } from "./schema.js";

/** @param {{name: string, unit: string, description: string}[]} signals */
export function inspectorView(signals) {
  const element = h("div", { class: "inspector" });
  const free = signals.filter(({ name }) => !isProbe(name));
  const probes = signals.filter(({ name }) => isProbe(name));

  function empty() {
    element.replaceChildren(
      h("p", { class: "hint" }, "Point at a token, or step through them with the arrow keys."),
    );
  }

  function show(token, index, step) {
    const where = index === null ? "taken back" : `token ${index + 1}`;
    const title = h(
      "p",
      { class: "picked" },
      h("code", {}, JSON.stringify(token.token)),
      h(
        "span",
        {},
        `${where} · id ${token.id} · p ${percent(Math.exp(token.logprob), 1)}${token.forced ? " · forced" : ""}`,
      ),
    );
    const verdict =
      step && step.verdict !== "correct"
        ? h("p", { class: "wrong" }, `✗ ${step.verdict.replace("_", " ")}: ${step.detail}`)
        : null;
    const read = probes.filter(({ name }) => token.signals[name] !== undefined);
    element.replaceChildren(
      h("div", { class: "inspector-head" }, title, verdict),
      section(
        "Signals",
        free.map((signal) => figure(signal.name, token.signals[signal.name], signal)),
      ),
      probes.length
        ? section(
            "Probes",
            read.map((signal) =>
              bar(signal.name.replace("probe:", ""), token.signals[signal.name], signal.description),
            ),
            "None is read here.",
          )
        : "",
      section(
        "Alternatives",
        token.top.map(({ token: other, logprob }) =>
          bar(JSON.stringify(other), Math.exp(logprob), "", other === token.token),
        ),
        "Not asked for.",
      ),
    );
  }

  empty();
  return { element, empty, show };
}

function section(title, items, none = "") {
  const content = items.length ? h("dl", {}, items) : h("p", { class: "hint" }, none);
  return h("div", { class: "inspector-part" }, h("h3", {}, title), content);
}

function figure(name, value, signal) {
  const unit = signal.unit === "probability" ? "" : ` ${signal.unit.replace("^2", "²")}`;
  return h(
    "div",
    { class: "figure-row", title: signal.description },
    h("dt", {}, name.replace("_", " ")),
    h("dd", {}, format(value, signal.unit), h("span", { class: "unit" }, value === undefined ? "" : unit)),
  );
}

function bar(name, share, title, chosen = false) {
  const length = h("span", {});
  const meter = h("span", { class: "meter", "aria-hidden": "true" }, length);
  length.style.inlineSize = `${(share * 100).toFixed(1)}%`;
  return h(
    "div",
    { class: `bar-row${chosen ? " chosen" : ""}`, title },
    h("dt", {}, name),
    h("dd", {}, meter, h("span", { class: "amount" }, percent(share, share < 0.1 ? 1 : 0))),
  );
}
