"""What was not taken in in pretraining, in several wordings, cannot be drawn out by fine-tuning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scipy.stats import spearmanr

from app.compare.results import Estimate
from app.findings.criteria import Between, Criterion, below
from app.findings.figures import Bar, bars
from app.findings.finding import Bench, Experiment, Finding, Size, Stage, StageResult
from app.findings.knowledge import (
    WORLDS,
    World,
    answer_forwards,
    asked_and_others,
    corpus_of,
    fine_tuning,
    less,
    pretraining,
    probe_names,
    share_of,
)
from app.findings.networks import cost_of, digest_of, trained
from app.findings.telling import tell
from models.corpora.bios.biography import Form, Order

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


@dataclass(frozen=True)
class Telling:
    """How biographies are written, and the share of questions among the texts of the pretraining."""

    form: Form
    order: Order
    questions: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.form}, {self.order}" + (", mixed" if self.questions else "")


SINGLE, MULTI = Telling("single", "fixed"), Telling("multi5", "permuted")
MIXED = Telling("single", "fixed", questions=0.5)
AUGMENTATIONS = (SINGLE, MULTI, Telling("single", "permuted"), Telling("multi5", "fixed"))
TELLINGS = (SINGLE, MULTI, MIXED, *AUGMENTATIONS[2:])


def stages(size: Size, seed: int) -> Sequence[Stage]:
    world = WORLDS[size]
    tellings = TELLINGS if size == "full" else TELLINGS[:3]
    return [Stage(each.name, _cost(world, each), partial(_measure, world, each, seed)) for each in tellings]


def _cost(world: World, telling: Telling) -> float:
    """Of some 45 tokens a biography and 12 a question."""
    questions = world.people * world.exposures * telling.questions / (1 - telling.questions)
    tokens = 45 * world.people * world.exposures + 12 * questions
    return cost_of(tokens, world.block_parameters)


def _measure(world: World, telling: Telling, seed: int, bench: Bench) -> StageResult:
    """Pretrain, fine-tune where no questions were in it; what was told, is answered, and a probe finds."""
    folder = bench.folder / telling.name
    config = pretraining(world, seed, telling.form, telling.order, questions=telling.questions)
    network = trained(config, folder / "pretraining", bench)
    corpus = corpus_of(config)
    tokenizer = corpus.make_tokenizer()
    asked, others = asked_and_others(corpus, world.tested)
    everybody_asked, _ = asked_and_others(corpus, world.people)
    told = tell(network, tokenizer, corpus, others).right
    probed = probe_names(network, tokenizer, everybody_asked, others)
    if not telling.questions:
        tuning = fine_tuning(world, config, digest_of(network))
        network = trained(tuning, folder / "fine-tuning", bench, initial=network)
    return {
        "told": share_of(told).model_dump(),
        "probe": share_of(probed).model_dump(),
        "asked": share_of(answer_forwards(network, tokenizer, corpus, asked)).model_dump(),
        "others": share_of(answer_forwards(network, tokenizer, corpus, others)).model_dump(),
    }


def measured(results: Mapping[str, StageResult]) -> Mapping[str, Estimate]:
    def of(telling: Telling, key: str) -> Estimate:
        return Estimate(**results[telling.name][key])

    def has(*tellings: Telling) -> bool:
        return all(each.name in results for each in tellings)

    found: dict[str, Estimate] = {}
    if has(*TELLINGS):
        found["told"] = min((of(each, "told") for each in TELLINGS), key=lambda told: told.value)
    if has(SINGLE):
        found["single"] = of(SINGLE, "others")
    if has(SINGLE, MULTI):
        found["gap"] = less(of(MULTI, "others"), of(SINGLE, "others"))
    if has(SINGLE, MIXED):
        found["mixed_gain"] = less(of(MIXED, "others"), of(SINGLE, "others"))
    if has(*AUGMENTATIONS):
        probes, answers = ([of(each, key).value for each in AUGMENTATIONS] for key in ("probe", "others"))
        order = rank_correlation(probes, answers)
        found["probe_order"] = Estimate(value=order, low=order, high=order)
    return found


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's; 0 where all of one are alike, which orders nothing.

    It can be a threshold exactly, such as 0.8, and then must not be beside it by a last bit.
    """
    if len({*first}) == 1 or len({*second}) == 1:
        return 0.0
    result: Any = spearmanr(first, second)
    return round(float(result.statistic), 9)


def figure(results: Mapping[int, Mapping[str, StageResult]]) -> str:
    values = [
        Bar(f"{name}: {what}", seed, Estimate(**result[key]))
        for seed, by_stage in results.items()
        for name, result in by_stage.items()
        for key, what in (("others", "answers"), ("probe", "probe"))
    ]
    return bars(values, "right, about people whom training did not ask about")


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
    experiment=Experiment(stages=stages, measured=measured, figure=figure),
    minutes=95,
)
