"""Oracle retry on the committed checkpoint: no problem that greedy decoding solves is lost."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

from app.decoding.core.sequence import Sequence
from app.decoding.core.text import Ledger
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, OracleRetry
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.engine.types import GenerationRequest
from app.errors import ParameterError
from app.settings import EMBEDDED_CHECKPOINT
from models import checkpoint
from models.checkpoint import LoadedCheckpoint
from models.corpora.corpus import judge
from models.corpora.drawing import problems
from models.corpora.registry import corpus_named, corpus_of
from tests.app.decoding.strategies.scripted import Run, attempts, begin, drive
from tests.app.engine.tiny import Result, collect

PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"


def oracle(**retry: object) -> Runnable:
    return OracleRetry.model_validate({"retry": retry})


def solve(*steps: list[str], **retry: object) -> Run:
    writer = attempts(*([(f"{text}.", 0.0) for text in step] for step in steps))
    return drive(oracle(**retry), writer, begin(prompt=PROBLEM))


def test_every_kind_of_mistake_is_taken_back() -> None:
    run = solve(
        ["Boats are 3 times kites = 3 * 7 = 10", " Kites are 8", " Oars are 7", "What", " Kites are 7"],
        [" Boats are 3 times kites = 3 * 7 = 9", " Boats are 3 times kites = 3 * 7 = 10"],
        [" Answer: 9", " Answer: 10"],
    )
    assert run.text == " Kites are 7. Boats are 3 times kites = 3 * 7 = 10. Answer: 10."
    verdicts = [event.detail["verdict"] for event in run.events if event.rule == "oracle_retry"]
    assert verdicts == ["not_ready", "formula", "unknown", "syntax", "arithmetic", "answer"]


def test_a_text_that_ends_without_an_answer_is_wrong() -> None:
    run = solve([" Kites are 7"], per_step=2)
    assert [event.detail["verdict"] for event in run.events if event.rule == "oracle_retry"] == ["answer"] * 2
    assert run.text == " Kites are 7."


def test_a_right_solution_is_left_alone() -> None:
    assert solve([" Kites are 7"], [" Boats are 3 times kites = 3 * 7 = 10"], [" Answer: 10"]).events == []


def test_a_prompt_that_is_no_problem_is_refused() -> None:
    with pytest.raises(ParameterError, match="How many boats") as caught:
        drive(oracle(), attempts([("a.", 0.0)]), begin(prompt="Tell me a story."))
    assert caught.value.param == "prompt"


def test_the_checker_is_that_of_the_corpus_of_the_model() -> None:
    def asked(prompt: str) -> Sequence:
        return Sequence(replace(begin(prompt=prompt).spec, corpus=corpus_named("sums")), Ledger())

    writer = attempts(
        [("7 + 5 = 3.", 0.0), ("7 + 5 = 2.", 0.0)], [(" Answer: 9.", 0.0), (" Answer: 2.", 0.0)]
    )
    run = drive(oracle(), writer, asked("7 + 5?\n"))
    assert [each.detail["verdict"] for each in run.events if each.rule == "oracle_retry"] == [
        "arithmetic",
        "answer",
    ]
    with pytest.raises(ParameterError, match="problem of sums"):
        drive(oracle(), attempts([("a.", 0.0)]), asked(PROBLEM))


@pytest.fixture(scope="module")
def loaded() -> LoadedCheckpoint:
    return checkpoint.load(EMBEDDED_CHECKPOINT)


@pytest.fixture(scope="module")
def engine(loaded: LoadedCheckpoint) -> Iterator[Engine]:
    with Engine(loaded) as engine:
        yield engine


@pytest.mark.artifact
def test_it_loses_no_problem_and_gains_some(loaded: LoadedCheckpoint, engine: Engine) -> None:
    corpus = corpus_of(loaded.card)
    assert corpus is not None
    texts = [each.prompt for each in islice(problems(corpus, "validation", 5, range(6, 8)), 32)]

    def write(strategy: Runnable) -> list[Result]:
        requests = [
            GenerationRequest(
                tuple(loaded.tokenizer.encode(text)),
                strategy,
                SamplingParams(temperature=0.0),
                StoppingParams(160),
                seed=index,
            )
            for index, text in enumerate(texts)
        ]
        return [collect(stream) for stream in [engine.submit(request) for request in requests]]

    def solved(results: list[Result]) -> set[int]:
        return {
            index
            for index, (text, result) in enumerate(zip(texts, results, strict=True))
            if judge(corpus, text, result.only.text).answer_correct
        }

    greedy, ours = write(Greedy()), write(oracle())
    assert solved(greedy) < solved(ours)
    for before, after in zip(greedy, ours, strict=True):
        assert after.usage is not None
        if not after.only.events:
            assert after.only.ids == before.only.ids
        discarded = sum(int(event.detail.get("discarded", 0)) for event in after.only.events)
        assert discarded == after.usage.discarded_tokens
