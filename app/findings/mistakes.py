"""Models know of their own mistakes, and that they do not know somebody."""

from app.findings.criteria import Between, Criterion, below
from app.findings.finding import Finding, Question

HYPOTHESIS = (
    Criterion(
        "recall_gain",
        "first mistakes of its own that `step_error` finds at 5% false alarms, less the best free signal",
        supported=Between(low=0.10),
        refuted=(Between(high=0.0),),
        unit="%",
    ),
    Criterion(
        "control_gain",
        "the same, less the probe on a network with random weights",
        supported=Between(low=0.25),
        refuted=(below(0.10),),
        unit="%",
    ),
    Criterion(
        "stranger_auroc",
        "people against strangers, by a probe at the end of the question, AUROC",
        supported=Between(low=0.90),
        refuted=(below(0.60),),
    ),
    Criterion(
        "stranger_gain",
        "the same, less the better of entropy, margin and the probe on a model that saw neither half",
        supported=Between(low=0.05),
        refuted=(Between(high=0.0),),
    ),
    Criterion(
        "abstain_excess",
        "wrong answers of `abstain` with that probe beyond the level it was asked to keep",
        supported=Between(high=0.02),
        refuted=(Between(low=0.10),),
        unit="%",
    ),
)

FINDING = Finding(
    name="mistakes",
    title="Models detect their own mistakes",
    claim="The hidden states of a model tell that a step is wrong, and that it was never told of somebody, "
    "better than its probabilities do.",
    source="Physics of Language Models 2.2, arXiv 2408.16293, section 3; hallucination in bios is our own",
    design="igsm: the probe of docs/probes.md on the model's own solutions of the test split, with its "
    "rivals. bios: questions about people of the corpus that training did not ask about, and about "
    "strangers, by a model of mixed training; the control is a model of another world's people.",
    criteria=HYPOTHESIS,
    questions=(
        Question(
            "igsm",
            "Masks are 7. Magnets are 10 times masks. Candles are knots plus magnets. Knots are 3. "
            "Flutes are candles times magnets. Drums are flutes minus knots. Nets are drums plus candles. "
            "Jars are nets times flutes. How many jars?",
            "whose steps it gets wrong now and then; colour the tokens by the probe step_error.",
        ),
    ),
)
