"""What was not taken in in pretraining, in several wordings, cannot be drawn out by fine-tuning."""

from app.findings.criteria import Between, Criterion, below
from app.findings.finding import Finding

HYPOTHESIS = (
    Criterion(
        "told",
        "condition: least share of values that a pretrained model gives right in the biographies themselves",
        supported=Between(low=0.90),
        unit="%",
    ),
    Criterion(
        "gap",
        "answers after fine-tuning: five permuted wordings less a single one",
        supported=Between(low=0.40),
        refuted=(below(0.15),),
        unit="%",
    ),
    Criterion(
        "single",
        "answers after fine-tuning: a single wording",
        supported=Between(high=0.20),
        refuted=(Between(low=0.50),),
        unit="%",
    ),
    Criterion(
        "probe_order",
        "rank correlation over four kinds of biographies of what a linear probe finds at the end of the name "
        "and what fine-tuning draws out",
        supported=Between(low=0.80),
        refuted=(below(0.0),),
    ),
    Criterion(
        "mixed_gain",
        "answers, a single wording: questions mixed into pretraining less questions after it",
        supported=Between(low=0.30),
        refuted=(below(0.10),),
        unit="%",
    ),
)

FINDING = Finding(
    name="pretraining",
    title="Knowledge has to be in pretraining",
    claim="A model that was told of everybody in one wording cannot answer questions about those whom fine-"
    "tuning leaves out; told in several wordings, or with questions among the biographies, it can.",
    source="Physics of Language Models 3.1, arXiv 2309.14316, Figures 3 to 7",
    design="Biographies of 1,000 people, in one or five wordings, sentences fixed or permuted, each person "
    "met 100 times; then fine-tuning on questions about half of the people, and asking about 300 of "
    "the others: five attributes each, the whole answer right, greedy. Mixed: half of the texts are "
    "questions from the start. The probe is linear, on the last layer at the end of the full name, "
    "fitted on the asked half and tested on the others, for the first word of each attribute.",
    criteria=HYPOTHESIS,
)
