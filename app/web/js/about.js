/** What the problems are, for whoever has not seen them before. */

import { h } from "./dom.js";

const PAPERS = [
  ["Part 2.1", "https://arxiv.org/abs/2407.20311"],
  ["Part 2.2", "https://arxiv.org/abs/2408.16293"],
];

/** A paragraph above the play tab. @param {import("./catalogue.js").Corpus|null} corpus */
export function aboutView({ corpus, model }) {
  if (!corpus)
    return paragraph(
      `${model.id} names no corpus of problems: write any prompt, and see where the model is in doubt. `,
      "Nothing judges what it writes.",
    );
  if (corpus.name !== "igsm") return paragraph(`${model.id} was trained on problems of ${corpus.name}.`);
  const { modulus } = corpus;
  const [one, other] = [modulus - 1, Math.min(7, modulus - 1)];
  return paragraph(
    "The problems follow iGSM, the controlled world of ",
    h("cite", {}, "Physics of Language Models"),
    " (",
    PAPERS.flatMap(([name, href], index) => [
      index ? ", " : "",
      h("a", { href, rel: "noopener noreferrer", target: "_blank" }, name),
    ]),
    "): each quantity is a number or computed from others, and the model was trained on nothing else. ",
    `Arithmetic is modulo ${modulus}, so ${one} * ${other} = ${(one * other) % modulus}; `,
    h("code", {}, "docs/igsm.md"),
    " in the repository has the language and how steps are judged.",
  );
}

const paragraph = (...content) => h("p", { class: "about" }, content);
