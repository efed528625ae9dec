/** Elements without a framework. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. Properties that begin with `on` are listeners, `value`, `checked` and the like are set as
 * properties, false and null leave an attribute out.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|number|null|undefined|false|Array<any>)} children
 * @returns {HTMLElement & Record<string, any>}
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** A text in which what stands between backticks is code, as children of an element. */
export function prose(text) {
  return text.split("`").map((piece, index) => (index % 2 ? h("code", {}, piece) : piece));
}

/**
 * Make `nodes` the children of `parent` and move or remove only what differs, so that focus and selection
 * stay where they are.
 */
export function reconcile(parent, nodes) {
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** Make `nodes` the children of `parent`; what can be scrolled keeps its place, and the focus, by its label. */
export function renew(parent, ...nodes) {
  const regions = () => [...parent.querySelectorAll("[tabindex][aria-label]")];
  const labelOf = (element) => element?.getAttribute("aria-label");
  const places = new Map(regions().map((region) => [labelOf(region), region.scrollLeft]));
  const focused = parent.contains(document.activeElement) ? labelOf(document.activeElement) : null;
  parent.replaceChildren(...nodes);
  for (const region of regions()) {
    region.scrollLeft = places.get(labelOf(region)) ?? 0;
    if (labelOf(region) === focused) region.focus({ preventScroll: true });
  }
}

/** Calls of the result within one frame lead to one call of `work`. */
export function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

/** The value of a custom property of the page, such as a colour of the theme. */
export function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Say something to screen readers that is seen anyway. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

let ids = 0;

/** An id that no other element has. */
export function newId(prefix) {
  return `${prefix}-${++ids}`;
}

const AS_PROPERTY = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (AS_PROPERTY.has(name) && name in element) element[name] = value;
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}
