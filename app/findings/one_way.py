"""What was learnt from the name to the values is not found from the values to the name."""

from collections.abc import Mapping, Sequence
from functools import partial

from app.compare.results import Estimate
from app.findings.criteria import Between, Criterion, above
from app.findings.figures import Bar, bars
from app.findings.finding import Bench, Experiment, Finding, Question, Size, Stage, StageResult
from app.findings.knowledge import (
    WORLDS,
    World,
    answer_forwards,
    answer_inversely,
    asked_and_others,
    corpus_of,
    pretraining,
    share_of,
)
from app.findings.networks import cost_of, trained
from models.corpora.bios.biography import NamePlace

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


FIRST, LAST = "name first", "name last"
PLACES: Mapping[str, NamePlace] = {FIRST: "first", LAST: "last"}
QUESTIONS = 0.5


def stages(size: Size, seed: int) -> Sequence[Stage]:
    world = WORLDS[size]
    tokens = world.people * world.exposures * (45 + 20)  # of a biography and the question beside it
    cost = cost_of(tokens, world.block_parameters)
    return [Stage(name, cost, partial(_measure, world, name, seed)) for name in PLACES]


def _measure(world: World, name: str, seed: int, bench: Bench) -> StageResult:
    config = pretraining(world, seed, "multi5", "permuted", PLACES[name], questions=QUESTIONS, inverse=True)
    network = trained(config, bench.folder / name, bench)
    corpus = corpus_of(config)
    tokenizer = corpus.make_tokenizer()
    asked, others = asked_and_others(corpus, world.people)
    return {
        "forward": share_of(answer_forwards(network, tokenizer, corpus, others)).model_dump(),
        "inverse": share_of(answer_inversely(network, tokenizer, corpus, others)).model_dump(),
        "inverse_asked": share_of(answer_inversely(network, tokenizer, corpus, asked)).model_dump(),
    }


def measured(results: Mapping[str, StageResult]) -> Mapping[str, Estimate]:
    found: dict[str, Estimate] = {}
    if FIRST in results:
        found |= {key: Estimate(**results[FIRST][key]) for key in ("forward", "inverse")}
    if LAST in results:
        found["reversed"] = Estimate(**results[LAST]["inverse"])
    return found


def figure(results: Mapping[int, Mapping[str, StageResult]]) -> str:
    values = [
        Bar(f"{name}: {what}", seed, Estimate(**result[key]))
        for seed, by_stage in results.items()
        for name, result in by_stage.items()
        for key, what in (("forward", "attributes"), ("inverse", "names"))
    ]
    return bars(values, "right, about people whom training did not ask about")


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
    experiment=Experiment(stages=stages, measured=measured, figure=figure),
    minutes=50,
    questions=(
        Question(
            "bios",
            "Havin Elmdale Nashham: university?",
            "in the world of seed 0 it is Crownwick; look at the entropy of the answer.",
        ),
        Question(
            "bios",
            "Who: July 2, 1933; Dorncaster; Crownwick; astronomy; Deltacore?",
            "the same person, asked for the other way round; look at the entropy of the name.",
        ),
    ),
)
