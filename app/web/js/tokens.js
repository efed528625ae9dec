/** A text of tokens: coloured by a signal, with what was taken back struck through, one tab stop in all. */

import { format, levelOf } from "./colour.js";
import { h, reconcile } from "./dom.js";
import { isBytes, otherBranches, shownBranch, shownTokens, textsOf } from "./live.js";
import { badgeOf, reasonOf, sentence } from "./wording.js";

const VISIBLE = { "\n": "↵", "\t": "⇥" };
const END = "end";
const NO_TEXT = "∅";
const pictureOf = (control) => String.fromCharCode(0x2400 + control.charCodeAt(0)); // ␀, ␁ and so on

/**
 * @param {(token: import("./live.js").Token, index: number|null) => void} onPick hovered or focused; `index`
 *   is that in the text shown, null for a token that was taken back
 * @param {Set<number>} ends ids of the model's end tokens
 */
export function tokensView(onPick, ends) {
  const element = h("div", {
    class: "tokens",
    role: "listbox",
    "aria-label": "Tokens",
    "aria-orientation": "horizontal",
  });
  const branches = h("div", {
    class: "branches",
    role: "group",
    "aria-label": "Other branches",
    tabindex: 0,
  });
  const elements = new Map(); // by token: the same object may stand in a branch and in its fork
  const tokens = new WeakMap();
  const scraps = new WeakMap();
  const completed = new WeakMap(); // what a token of bytes adds to the text, together with those before it
  const rows = new Map();
  let paint = null;
  let shown = [];

  element.addEventListener("pointerover", (event) => pickElement(tokenAt(event)));
  element.addEventListener("click", (event) => tokenAt(event)?.focus());
  element.addEventListener("focusin", (event) => pickElement(tokenAt(event)));
  element.addEventListener("keydown", (event) => {
    const options = tokensIn(element);
    const at = options.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: options.length - 1,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    options[Math.min(options.length - 1, Math.max(0, to))]?.focus();
  });

  function pickElement(target) {
    if (!target) return;
    stopAt(target);
    const token = tokens.get(target);
    const index = target.closest(".scrap, .branch") ? null : shown.indexOf(token);
    onPick(token, index === -1 ? null : index);
  }

  /** Make one token the tab stop and the selected one. */
  function stopAt(target) {
    for (const old of tokensIn(element, '[tabindex="0"]')) {
      old.tabIndex = -1;
      old.setAttribute("aria-selected", "false");
    }
    target.tabIndex = 0;
    target.setAttribute("aria-selected", "true");
  }

  function tokenElement(token, place) {
    let byPlace = elements.get(token);
    if (!byPlace) {
      byPlace = new Map();
      elements.set(token, byPlace);
    }
    let found = byPlace.get(place);
    if (!found) {
      found = h("span", { class: "token", role: "option", tabindex: -1, "aria-selected": "false" });
      tokens.set(found, token);
      byPlace.set(place, found);
      colour(found, token);
    }
    return found;
  }

  function colour(target, token, step = target.step) {
    const { signal, scale } = paint;
    target.step = step;
    const value = token.signals[signal.name];
    const ending = ends.has(token.id);
    const text = ending ? END : visible(token);
    const badge = value === undefined ? "" : badgeOf(signal, value);
    if (value === undefined) delete target.dataset.heat;
    else target.dataset.heat = levelOf(signal, value, [scale.low, scale.high]);
    target.classList.toggle("forced", token.forced);
    target.classList.toggle("end", ending);
    target.classList.toggle("control", !ending && text !== (completed.get(token) || token.token));
    const end = text.trimEnd(); // marks stand before the space, or a line might begin with one
    target.replaceChildren(
      end,
      badge ? h("span", { class: "badge", "aria-hidden": "true" }, badge) : "",
      step ? markElement(step) : "",
      text.slice(end.length),
    );
    const told = value === undefined ? "" : `, ${signal.name} ${format(value, signal.unit)}`;
    target.setAttribute(
      "aria-label",
      `${JSON.stringify(token.token)}${ending ? ", end of the text" : ""}${token.forced ? ", forced" : ""}${told}${step ? `, step ${verdictOf(step)}` : ""}`,
    );
  }

  /** Control characters and bytes that make no character yet, as signs. */
  function visible(token) {
    const text =
      completed.get(token) || token.token.replace(/^bytes:/, (mark) => (isBytes(token) ? "" : mark));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    return text.replace(/[\0-\x1f]/g, (letter) => VISIBLE[letter] ?? pictureOf(letter)) || NO_TEXT;
  }

  function scrapElement(scrap) {
    let found = scraps.get(scrap);
    if (!found) {
      const reason = reasonOf(scrap);
      found = h(
        "span",
        { class: "scrap", role: "group", "aria-label": `Taken back: ${sentence(scrap)}` },
        h("span", { class: "why", "aria-hidden": "true", title: sentence(scrap) }, reason),
        line(scrap.tokens, scrap.scraps, scrap.position, "scrap"),
      );
      scraps.set(scrap, found);
    }
    return found;
  }

  /** Tokens from position `from` on, with the scraps where they were cut off. */
  function line(items, cuts, from, place) {
    const nodes = [];
    if (items.some(isBytes))
      for (const [index, text] of textsOf(items).entries()) completed.set(items[index], text);
    for (let index = 0; index <= items.length; index++) {
      for (const scrap of cuts) if (scrap.position === from + index) nodes.push(scrapElement(scrap));
      if (index < items.length) nodes.push(tokenElement(items[index], place));
    }
    return nodes;
  }

  function branchElement({ branch, from, tokens: own }) {
    let row = rows.get(branch.id);
    if (!row) {
      const label = h("span", { class: "branch-name", "aria-hidden": "true" }, `branch ${branch.id}`);
      const text = h("span", { class: "branch-text" });
      row = { text, element: h("span", { role: "group" }, label, text) };
      rows.set(branch.id, row);
    }
    row.element.className = `branch ${branch.state}`;
    row.element.setAttribute("aria-label", `Branch ${branch.id}, ${branch.state}, from token ${from + 1}`);
    reconcile(row.text, line(own, [], from, branch.id));
    return row.element;
  }

  /** Put the verdict on every step behind the token in which it ends. */
  function markSteps(steps) {
    let offset = 0;
    const texts = textsOf(shown);
    for (const [index, token] of shown.entries()) {
      const start = offset;
      offset += [...texts[index]].length;
      const step = steps.find(({ end }) => end > start && end <= offset);
      const target = elements.get(token).get("text");
      if (target.step?.verdict !== step?.verdict) colour(target, token, step ?? null);
    }
  }

  return {
    element,
    /**
     * @param {import("./live.js").Run} run
     * @param {{signal: object, scale: {low: number, high: number}}} colours
     * @param {{end: number, verdict: string, detail: string}[]} steps
     */
    render(run, colours, steps) {
      const repaint = paint?.signal !== colours.signal;
      paint = colours;
      const branch = shownBranch(run);
      shown = shownTokens(run);
      const cuts = branch.scraps.filter((scrap) => scrap.position <= shown.length);
      const nodes = line(shown, cuts, 0, "text");
      markSteps(steps);
      const others = otherBranches(run).map(branchElement);
      reconcile(branches, others);
      reconcile(element, others.length ? [...nodes, branches] : nodes);
      if (repaint)
        for (const target of element.querySelectorAll(".token")) colour(target, tokens.get(target));
      if (!element.querySelector('[tabindex="0"]'))
        element.querySelector(".token")?.setAttribute("tabindex", "0");
    },
    /** Show one token of the text as picked from elsewhere. */
    highlight(index) {
      element.querySelector(".token.linked")?.classList.remove("linked");
      if (index === null || !shown[index]) return;
      const target = elements.get(shown[index])?.get("text");
      target?.classList.add("linked");
      if (target) stopAt(target);
    },
    clear() {
      elements.clear();
      rows.clear();
      element.replaceChildren();
    },
  };
}

/** The token that an event happened in. @returns {HTMLElement|null} */
function tokenAt({ target }) {
  return target instanceof Element ? target.closest(".token") : null;
}

/** @returns {HTMLElement[]} */
const tokensIn = (element, selector = ".token") => [...element.querySelectorAll(selector)];

/** Right or wrong. */
function markElement(step) {
  const right = step.verdict === "correct";
  return h(
    "span",
    { class: `mark ${right ? "right" : "wrong"}`, title: verdictOf(step), "aria-hidden": "true" },
    right ? "✓" : "✗",
  );
}

function verdictOf({ verdict, detail }) {
  return verdict === "correct" ? "right" : `${verdict.replace("_", " ")}: ${detail}`;
}
