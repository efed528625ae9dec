"""Best of n by a probe: it is the best of the answers that the same branches write by themselves."""

from collections.abc import Iterator
from math import prod

import pytest

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import ProbeBestOfN, Sample
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from tests.app.decoding.strategies.scripted import attempts, drive
from tests.app.engine.tiny import Answer, Result, TinyCheckpoint, ask, collect, tiny_model
from tests.probes.tiny import every_family

STOPS = SamplingParams(logit_bias={46: 5.0})
PROBES = every_family((46, 10), (61,), (5, 6, 7), d_model=32, last=2)
PROBE = "probe:pooled_every"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(TinyCheckpoint(tiny_model()), EngineLimits(), PROBES) as engine:
        yield engine


def run(engine: Engine, strategy: Runnable, seed: int) -> Result:
    request = ask((3, 1, 4), strategy, STOPS, 24, seed=seed, ignore_eos=False, signals=(PROBE,))
    return collect(engine.submit(request))


def values(answer: Answer) -> list[float]:
    return [1 - token.signals[PROBE] for token in answer.tokens]


def test_one_answer_is_the_base_sampler(engine: Engine) -> None:
    for seed in range(4):
        ours = run(engine, ProbeBestOfN(probe=PROBE, samples=1), seed)
        assert ours.only.ids == run(engine, Sample(), seed).only.ids
        assert ours.only.events == ()
        assert ours.usage is not None
        assert ours.usage.discarded_tokens == 0


def test_the_answer_with_the_highest_score_is_kept(engine: Engine) -> None:
    worse = better = 0
    for seed in range(8):
        alone = run(engine, Sample(), seed)
        ours = run(engine, ProbeBestOfN(probe=PROBE, samples=5), seed)
        (event,) = ours.only.events
        assert ours.usage is not None
        assert event.detail["discarded"] == ours.usage.discarded_tokens
        if event.detail["kept"] == 1:
            assert ours.only.ids == alone.only.ids
        else:
            worse += prod(values(alone.only)) > float(event.detail["score"]) + 1e-6
            better += 1
    assert worse == 0
    assert better


def test_ties_go_to_the_earliest_and_no_reading_comes_last() -> None:
    unread = drive(ProbeBestOfN(samples=3), attempts([("a.", 0.9), ("b.", 0.1)], signal="other"))
    assert unread.text == "a."
    # The hand writes one text in all branches, each with a worse value than the one before.
    texts = [("a.", 0.3), ("b.", 0.2), ("c.", 0.2), ("d.", 0.9)]
    best = drive(ProbeBestOfN(samples=4), attempts(texts, signal="probe:step_error", at="."))
    assert best.events[0].detail["of"] == 4
    assert best.discarded == 3 * 3
