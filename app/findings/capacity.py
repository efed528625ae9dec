"""Models store about two bits per parameter, and int8 keeps them."""

from app.findings.criteria import Between, Criterion, above, below
from app.findings.finding import Finding

HYPOTHESIS = (
    Criterion(
        "peak_100",
        "most bits per parameter of any model, after 100 exposures",
        supported=Between(0.7, 1.4),
        refuted=(below(0.5), above(2.3)),
    ),
    Criterion(
        "peak_1000",
        "most bits per parameter of any model, after 1,000 exposures",
        supported=Between(1.5, 2.3),
        refuted=(below(1.0), above(2.3)),
    ),
    Criterion(
        "int8_loss",
        "share of the bits of the best model that is lost in int8",
        supported=Between(high=0.03),
        refuted=(above(0.10),),
        unit="%",
    ),
    Criterion(
        "int4_loss",
        "share of the bits of the best model that is lost in int4",
        supported=Between(low=0.25),
        refuted=(below(0.10),),
        unit="%",
    ),
)

FINDING = Finding(
    name="capacity",
    title="About two bits per parameter",
    claim="A model stores at most some two bits of knowledge per parameter, about one after 100 exposures, "
    "and keeps them in int8.",
    source="Physics of Language Models 3.3, arXiv 2404.05405, Definition 4.3",
    design="Compact biographies, one text a person, of as many people as hold 1 and 1.6 bits per parameter, "
    "on networks of 0.1, 0.2 and 0.4 million parameters; those of words that no text has are not "
    "counted. Bits by the paper's definition, from the nats of names and values. Then the same "
    "weights rounded to the nearest of 8 and of 4 bits, by output channel. The paper rounds by GPTQ, "
    "and trains for 50,000 steps or more.",
    criteria=HYPOTHESIS,
)
