/** Which signal the tokens are coloured by, and what the colours mean. */

import { format, LEVELS } from "./colour.js";
import { h, newId } from "./dom.js";
import { scaleOf } from "./scale.js";
import { isProbe } from "./schema.js";

/**
 * @param {Record<string, any>} catalogue
 * @param {() => void} changed called when another signal was chosen by hand
 */
export function colouringView({ signals, model }, changed) {
  const id = newId("colour");
  const group = (label, members) =>
    members.length
      ? h(
          "optgroup",
          { label },
          members.map(({ name }) =>
            h("option", { value: name }, name.replace("probe:", "").replaceAll("_", " ")),
          ),
        )
      : null;
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
      signals.filter((signal) => !isProbe(signal.name)),
    ),
    group(
      "Probes",
      signals.filter((signal) => isProbe(signal.name)),
    ),
  );
  const least = h("span", { class: "legend-end" });
  const most = h("span", { class: "legend-end" });
  const steps = Array.from({ length: LEVELS }, (_, level) =>
    h("span", { class: "token", "data-heat": level }, "\u2002"),
  );
  const legend = h(
    "div",
    { class: "legend", role: "img" },
    least,
    h("span", { class: "legend-steps" }, steps),
    most,
  );
  const meaning = h("p", { class: "help" });
  const chosen = () => signals.find(({ name }) => name === select.value);
  const scale = () => scaleOf(chosen(), model.vocab_size);

  function tell() {
    const signal = chosen();
    const { low, high, open, note } = scale();
    const certain = signal.higher_means === "certain";
    const [calm, doubtful] = (certain ? [high, low] : [low, high]).map((value) => format(value, signal.unit));
    const unit = signal.unit === "probability" ? "" : ` ${signal.unit.replace("^2", "²")}`;
    least.textContent = `${calm}${certain && open ? " or more" : ""}`;
    most.textContent = `${doubtful}${unit}${open ? ` or ${certain ? "less" : "more"}` : ""}`;
    legend.setAttribute(
      "aria-label",
      `Scale of the colours, from ${least.textContent} to ${most.textContent}: the stronger the colour and the thicker the bar, the more doubt`,
    );
    const told = signal.description.replace("..", ".").replace(" GET /v1/probes has its card.", "");
    meaning.textContent = `${told} ${note}`.trim();
  }

  tell();
  return {
    element: h("div", { class: "colouring" }, h("label", { for: id }, "Colour by"), select, legend, meaning),
    chosen,
    scale,
    choose(name) {
      if (signals.some((signal) => signal.name === name)) select.value = name;
      tell();
    },
  };
}
