/** One arm of a comparison: a name, a strategy, its sampling. */

import { h, newId } from "../dom.js";
import { complaintAt, objectEditor } from "../form.js";
import { samplingFields } from "../request.js";
import { compact, initial } from "../schema.js";
import { strategyPicker } from "../strategy-picker.js";

/**
 * @param {any} catalogue
 * @param {{changed: () => void, removed: () => void}} on what to call
 */
export function armEditor(catalogue, { changed, removed }) {
  const id = newId("arm");
  let named = false;
  let unshown = {}; // fields of an arm taken as a template that have no place in the form
  const name = h("input", {
    type: "text",
    id,
    maxlength: 64,
    spellcheck: "false",
    pattern: "[A-Za-z0-9_.\\-]{1,64}",
    oninput: changed,
  });
  const error = h("p", { class: "field-error", hidden: true });
  const picker = strategyPicker(catalogue, { label: "strategy", changed: () => named && changed() });
  const { first, more } = samplingFields(catalogue.openapi);
  const fields = { ...first, ...more };
  const said = h("span", { class: "said" });
  const sampling = objectEditor(fields, { changed: tell, signals: [] });
  const model = modelChoice(catalogue.models, changed);
  const drop = h(
    "button",
    { type: "button", class: "quiet icon", "aria-label": "Remove this arm", onclick: removed },
    "×",
  );

  function tell() {
    const own = compact(sampling.read(), fields);
    said.textContent =
      Object.entries(own)
        .map(([field, value]) => `${field} ${value}`)
        .join(" · ") || "the model's own distribution";
  }

  const self = {
    element: h(
      "div",
      { class: "arm" },
      h(
        "div",
        { class: "arm-head" },
        h("div", { class: "field" }, h("label", { for: id }, "name"), name),
        drop,
      ),
      error,
      model.element,
      picker.element,
      h("details", {}, h("summary", {}, "Sampling", said), sampling.element),
    ),
    name: () => name.value,
    read: () => ({
      name: name.value,
      strategy: picker.read(),
      ...model.read(),
      ...unshown,
      ...compact(sampling.read(), fields),
    }),
    write({ name: given, strategy, model: on, ...rest }) {
      name.value = given;
      model.write(on ?? null);
      picker.write(strategy);
      unshown = Object.fromEntries(Object.entries(rest).filter(([field]) => !(field in fields)));
      sampling.write({
        ...Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, initial(value)])),
        ...rest,
      });
      named = true;
      tell();
    },
    at(path) {
      if (path[0] === "strategy") return picker.at(path.slice(1));
      if (path[0] === "model") return model;
      return sampling.at(path) ?? self;
    },
    complain(message) {
      error.textContent = message ?? "";
      error.hidden = !message;
      if (message) name.focus();
    },
    removable: (yes) => (drop.disabled = !yes),
    focus: () => name.focus(),
  };
  return self;
}

/** Which model an arm runs on, where the server has several; a name that it has not is kept as it is. */
function modelChoice(models, changed) {
  const id = newId("arm-model");
  const select = h("select", { id, onchange: changed });
  const complaint = complaintAt(select);
  const offer = (name) => h("option", { value: name }, name);
  select.append(...models.map((each) => offer(each.id)));
  const first = models[0].id;
  return {
    element: h(
      "div",
      { class: "field", hidden: models.length < 2 },
      h("label", { for: id }, "model"),
      select,
      complaint.element,
    ),
    read: () => (select.value === first ? {} : { model: select.value }),
    write(name) {
      if (name && !models.some((each) => each.id === name)) select.append(offer(name));
      select.value = name ?? first;
    },
    complain: complaint.complain,
  };
}
