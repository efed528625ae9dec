/** Which of the server's models the page is about. The address says it, before the #: `?model=NAME`. */

import { h } from "./dom.js";

/** The model that the address names; null where it names none. */
export const wantedModel = () => new URLSearchParams(location.search).get("model");

/** A route's path with a model in its query; the default needs none. @param {{id: string, default: boolean}} model */
export function ofModel(path, model) {
  if (model.default) return path;
  return `${path}${path.includes("?") ? "&" : "?"}model=${encodeURIComponent(model.id)}`;
}

/**
 * A choice among the models of a server; nothing where there is one.
 * @param {{id: string, state: string}[]} models
 * @param {string|null} chosen
 */
export function modelPicker(models, chosen) {
  if (models.length < 2) return null;
  const select = h(
    "select",
    {
      id: "model-picker",
      "aria-label": "Model",
      onchange: () => {
        const query = select.selectedIndex ? `?${new URLSearchParams({ model: select.value })}` : "";
        // The tab stays; a request or a comparison in the address may be none that the other model takes.
        location.assign(`${location.pathname}${query}${location.hash.split("/")[0]}`);
      },
    },
    models.map(({ id, state }) =>
      h("option", { value: id }, state === "failed" ? `${id} (cannot be loaded)` : id),
    ),
  );
  select.value = chosen ?? models[0].id;
  return select;
}
