/** How to make the same request again: as a link, in a terminal, in Python. */

import { apiKey, address as route } from "./api.js";
import { announce, h } from "./dom.js";
import { curl, python } from "./snippets.js";

export function snippetsView() {
  let link = "";
  const blocks = [
    { label: "Terminal", short: "curl", make: curl, code: h("code", {}) },
    { label: "Python, the openai client", short: "Python", make: python, code: h("code", {}) },
  ];
  const element = h(
    "details",
    { class: "snippets", hidden: true },
    h("summary", {}, "The same request again"),
    h(
      "div",
      { class: "snippet" },
      h("h3", {}, "Link to this page"),
      copyButton("link", () => link),
      h(
        "p",
        { class: "hint" },
        "Opens the playground with this prompt, these strategies and this seed filled in; Run writes the same again.",
      ),
    ),
    blocks.map(({ code, label, short }) =>
      h(
        "div",
        { class: "snippet" },
        h("h3", {}, label),
        copyButton(short, () => code.textContent),
        h("pre", { tabindex: 0, "aria-label": label }, code),
      ),
    ),
  );
  return {
    element,
    /** @param {object} body of the request @param {string} address of the page with the request in it */
    show(body, address) {
      link = address;
      element.hidden = false;
      const url = route("").replace(/\/$/, "");
      for (const { make, code } of blocks) code.textContent = make(body, url, apiKey() !== "");
    },
  };
}

/** A button that puts text on the clipboard and says so. */
export function copyButton(what, content) {
  const button = h("button", { type: "button", class: "quiet copy" }, `Copy ${what}`);
  button.addEventListener("click", async () => {
    await copy(content());
    button.textContent = "Copied";
    announce(`${what} copied`);
    setTimeout(() => (button.textContent = `Copy ${what}`), 2000);
  });
  return button;
}

/** Browsers offer their clipboard to secure pages only; on plain HTTP the old way still works. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { value: text, class: "visually-hidden" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
