"""Models know what they will need before they write the first word."""

from app.findings.criteria import Between, Criterion, below
from app.findings.finding import Finding

HYPOTHESIS = (
    Criterion(
        "surface",
        "condition: AUROC of mentions, places, kinds and words for what is needed",
        supported=Between(0.45, 0.55),
    ),
    Criterion(
        "solved",
        "condition: whole solutions right, none with a step that is not needed, at the largest size in range",
        supported=Between(low=0.90),
        unit="%",
    ),
    Criterion(
        "necessary_gain",
        "balanced accuracy of `necessary` at the end of the question, less the same probe on random weights",
        supported=Between(low=0.25),
        refuted=(below(0.10),),
        unit="%",
    ),
    Criterion(
        "over_surface",
        "balanced accuracy of `necessary`, less the best that the surface gives",
        supported=Between(low=0.05),
        refuted=(Between(high=0.0),),
        unit="%",
    ),
)

FINDING = Finding(
    name="planning",
    title="Models plan before they speak",
    claim="At the end of the question, before the first word of the solution, hidden states tell which "
    "quantities the answer will need.",
    source="Physics of Language Models 2.1, arXiv 2407.20311, sections 4 and 5",
    design="The corpus decoys, where nothing on the surface gives a needed quantity away (docs/decoys.md), "
    "and the largest range of sizes that a model solves to 90%. Probes for `necessary` read (a) one "
    "state at the end of the question, (b) as the paper does, with the quantity's name appended and "
    "the network frozen, by layer and by distance from the question in the graph; and `can_next`.",
    criteria=HYPOTHESIS,
)
