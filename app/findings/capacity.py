"""Models store about two bits per parameter, and int8 keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from app.compare.results import Estimate
from app.findings.bits import bits_of_people, lost, most_bits, parameters_of, per_parameter
from app.findings.criteria import Between, Criterion, above, below
from app.findings.figures import Point, scatter
from app.findings.finding import Bench, Experiment, Finding, Size, Stage, StageResult
from app.findings.networks import cost_of, trained
from app.findings.rounding import rounded
from app.findings.telling import tell
from models.corpora.bios.bios import Bios, BiosSettings
from models.training.config import PretrainConfig

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

TEXT_TOKENS = 23
ROWS = 32
"""Texts of a step."""


@dataclass(frozen=True)
class Shape:
    """A network by its size in millions of parameters."""

    millions: float
    width: int
    layers: int


@dataclass(frozen=True)
class Load:
    """What a network is to learn."""

    shape: Shape
    people: int
    exposures: int

    @property
    def name(self) -> str:
        return f"{self.shape.millions:g}M, {self.people} people, {self.exposures} exposures"

    @property
    def tokens(self) -> int:
        return self.people * self.exposures * TEXT_TOKENS


SMALL, MEDIUM, LARGE = Shape(0.1, 56, 2), Shape(0.2, 64, 3), Shape(0.4, 96, 3)
LOADS: Mapping[Size, Sequence[Load]] = {
    "quick": (Load(Shape(0.02, 16, 2), 200, 20), Load(Shape(0.02, 16, 2), 200, 40)),
    "full": (
        Load(SMALL, 4_000, 100),
        Load(SMALL, 2_470, 100),
        Load(MEDIUM, 6_900, 100),
        Load(MEDIUM, 4_200, 100),
        Load(LARGE, 14_600, 100),
        Load(LARGE, 9_000, 100),
        Load(SMALL, 5_600, 1_000),
    ),
}
"""Of each shape as many people as would take 1.6 and 1 bits of each parameter, or 2.2 for 1,000 exposures."""


def stages(size: Size, seed: int) -> Sequence[Stage]:
    return [
        Stage(
            load.name,
            cost_of(load.tokens, load.shape.millions * 1e6),
            partial(_measure, load, seed),
        )
        for load in LOADS[size]
    ]


def config_of(load: Load, corpus: Bios, seed: int) -> PretrainConfig:
    """Each row is one text; the rate falls over the last 70% of the run."""
    return PretrainConfig(
        corpus=corpus,
        d_model=load.shape.width,
        n_layers=load.shape.layers,
        n_heads=4,
        context_length=48,
        tokens=load.tokens,
        decay_tokens=round(0.7 * load.tokens),
        rows=ROWS,
        row_length=TEXT_TOKENS,
        op_start=1,
        validate_tokens=load.tokens,
        validate_problems=1,
        seed=seed,
    )


def _measure(load: Load, seed: int, bench: Bench) -> StageResult:
    corpus = Bios(BiosSettings(people=load.people, world=seed, form="compact", order="fixed", questions=0))
    network = trained(config_of(load, corpus, seed), bench.folder / load.name, bench)
    tokenizer, people = corpus.make_tokenizer(), corpus.people.everybody
    told = tell(network, tokenizer, corpus, people)
    bits, parameters = bits_of_people(told), parameters_of(network, told.tokens)
    few = {
        width: bits_of_people(tell(rounded(network, width), tokenizer, corpus, people)) for width in (8, 4)
    }
    return {
        "exposures": load.exposures,
        "people": load.people,
        "parameters": parameters,
        "most_bits": most_bits(load.people) * load.people / parameters,
        "bits": per_parameter(bits, parameters).model_dump(),
        "values_right": float(told.right.mean()),
        **{f"int{width}_bits": per_parameter(left, parameters).model_dump() for width, left in few.items()},
        **{f"int{width}_loss": lost(bits, left).model_dump() for width, left in few.items()},
    }


def measured(results: Mapping[str, StageResult]) -> Mapping[str, Estimate]:
    found: dict[str, Estimate] = {}
    for exposures in (100, 1_000):
        names = [load.name for load in LOADS["full"] if load.exposures == exposures]
        if not all(name in results for name in names):
            continue
        best = max((results[name] for name in names), key=lambda result: result["bits"]["value"])
        found[f"peak_{exposures}"] = Estimate(**best["bits"])
        if exposures == 100:
            found |= {f"int{width}_loss": Estimate(**best[f"int{width}_loss"]) for width in (8, 4)}
    return found


def figure(results: Mapping[int, Mapping[str, StageResult]]) -> str:
    points = [
        Point(series, result["most_bits"], Estimate(**result[key]))
        for by_stage in results.values()
        for result in by_stage.values()
        for series, key in (
            (f"{result['exposures']} exposures", "bits"),
            (f"{result['exposures']} exposures, int8", "int8_bits"),
            (f"{result['exposures']} exposures, int4", "int4_bits"),
        )
    ]
    return scatter(points, "bits per parameter that there are to learn", "bits per parameter")


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
    experiment=Experiment(stages=stages, measured=measured, figure=figure),
    minutes=800,
)
