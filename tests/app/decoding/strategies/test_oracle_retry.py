"""Oracle retry on the committed checkpoint: no problem that greedy decoding solves is lost."""

from collections.abc import Iterator
from itertools import islice

import pytest

from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, OracleRetry
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine, GenerationRequest
from app.errors import ParameterError
from app.settings import EMBEDDED_CHECKPOINT
from models import checkpoint
from models.checkpoint import LoadedCheckpoint
from models.corpora.igsm.check import check_solution
from models.corpora.igsm.dataset import problems
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.text import render_problem
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


@pytest.fixture(scope="module")
def loaded() -> LoadedCheckpoint:
    return checkpoint.load(EMBEDDED_CHECKPOINT)


@pytest.fixture(scope="module")
def engine(loaded: LoadedCheckpoint) -> Iterator[Engine]:
    with Engine(loaded) as engine:
        yield engine


@pytest.mark.artifact
def test_it_loses_no_problem_and_gains_some(loaded: LoadedCheckpoint, engine: Engine) -> None:
    spec = IgsmSpec.of_checkpoint(loaded.card)
    assert spec is not None
    texts = [render_problem(each) for each in islice(problems(spec, "validation", 5, range(6, 8)), 32)]

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
            if check_solution(text, result.only.text).answer_correct
        }

    greedy, ours = write(Greedy()), write(oracle())
    assert solved(greedy) < solved(ours)
    for before, after in zip(greedy, ours, strict=True):
        assert after.usage is not None
        if not after.only.events:
            assert after.only.ids == before.only.ids
        discarded = sum(int(event.detail.get("discarded", 0)) for event in after.only.events)
        assert discarded == after.usage.discarded_tokens
