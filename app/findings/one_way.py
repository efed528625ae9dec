"""What was learnt from the name to the values is not found from the values to the name."""

from app.findings.criteria import Between, Criterion, above
from app.findings.finding import Finding

HYPOTHESIS = (
    Criterion(
        "forward",
        "condition: answers about the same people, from the name to an attribute",
        supported=Between(low=0.90),
        unit="%",
    ),
    Criterion(
        "reversed",
        "condition: whole names found from all attributes, where biographies name the person last",
        supported=Between(low=0.50),
        unit="%",
    ),
    Criterion(
        "inverse",
        "whole names found from all attributes, where biographies begin with the name",
        supported=Between(high=0.02),
        refuted=(above(0.10),),
        unit="%",
    ),
)

FINDING = Finding(
    name="one_way",
    title="Access to knowledge is one-way",
    claim="A model that answers what somebody's attributes are cannot say who has them, unless its texts "
    "put the name after the attributes.",
    source="Physics of Language Models 3.2, arXiv 2309.14402, section 4",
    design="Biographies of 1,000 people in five permuted wordings, half of the texts questions from the "
    "start, both ways, about half of the people; asked about the others. The control is the same with"
    " biographies that name the person last. The paper asks for the first name; with 128 of them "
    "chance would come near the threshold, so the whole name counts.",
    criteria=HYPOTHESIS,
)
