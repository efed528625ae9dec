"""DeepConf on samples whose confidence is given, and a bar that nobody falls below."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.confidence_voting import ConfidenceVoting
from app.decoding.strategies.self_consistency import SelfConsistency
from tests.app.decoding.strategies.scripted import END, Run, begin, drive
from tests.app.engine.tiny import ask, collect, tiny_engine


def samples(*texts: tuple[str, list[float]]) -> Callable[[Sequence, SamplingParams], Token]:
    """Sample i writes text i, then ends; each character has the confidence of its place, the last one on."""

    def write(sequence: Sequence, _: SamplingParams) -> Token:
        text, values = texts[sequence.branch[1] + 1 if len(sequence.branch) > 1 else 0]
        place = sequence.position
        signals = {"confidence": values[min(place, len(values) - 1)]}
        return Token(END if place == len(text) else ord(text[place]), -1.0, signals)

    return write


def run(*texts: tuple[str, list[float]], **params: Any) -> Run:
    fields = {"samples": len(texts), "warmup": 2, "window": 3, "consensus": None, "answer_marker": ":"}
    strategy = ConfidenceVoting.model_validate(fields | params)
    return drive(strategy, samples(*texts), begin())


def vote(done: Run) -> dict[str, Any]:
    (event,) = (event for event in done.events if event.rule == "vote")
    return dict(event.detail)


def test_a_sample_is_stopped_where_its_window_falls_below_the_bar() -> None:
    done = run(
        ("so :1", [5.0]),
        ("so :2", [3.0]),
        ("well, yes :2", [6.0, 6.0, 6.0, 1.0, 1.0, 6.0]),
        ("so :1", [6.0]),
        keep_percent=100,
    )
    # The bar is 3: means of the third sample are 6, 13/3, then 8/3.
    (stop,) = (event for event in done.events if event.rule == "confidence_stop")
    assert stop.position == 5
    assert stop.detail == {"confidence": pytest.approx(8 / 3), "bar": pytest.approx(3.0, abs=2e-4)}
    assert vote(done) == {
        "answer": "1",
        "votes": "1: 11, 2: 3",
        "samples": 3,
        "discarded": 17,
        "bar": pytest.approx(3.0, abs=2e-4),
        "below_bar": 0,
        "stopped": 1,
        "spared": 0,
    }


def test_warm_up_samples_below_the_bar_do_not_vote() -> None:
    done = run((":1", [5.0]), (":2", [9.0]), (":1", [5.0]), keep_percent=10)
    assert vote(done)["bar"] == pytest.approx(8.6, abs=2e-4)
    assert vote(done)["votes"] == "2: 9"
    assert (vote(done)["below_bar"], vote(done)["stopped"]) == (1, 1)


def test_weights_count_not_heads() -> None:
    texts = ((":1", [2.0]), (":1", [2.0]), (":2", [7.0]), (":2", [1.5]))
    assert vote(run(*texts, keep_percent=100))["answer"] == "2"
    assert vote(run(*texts, keep_percent=100))["votes"] == "2: 7, 1: 4"


def test_consensus_spares_the_rest() -> None:
    texts = tuple((":1", [5.0]) for _ in range(6))
    assert vote(run(*texts, consensus=1.0))["spared"] == 4
    assert vote(run(*texts, consensus=None))["spared"] == 0
    split = ((":1", [5.0]), (":2", [5.0]), *texts[2:])
    # Weights 1 against 1 after the warm-up, 3 against 1 after one batch of two, then 5 against 1.
    assert vote(run(*split, consensus=0.75))["spared"] == 2
    assert vote(run(*split, consensus=0.76))["spared"] == 0


def test_without_bar_window_and_weight_it_is_self_consistency() -> None:
    """Warm-up for all: nobody is stopped, and the bar at 100% is below everybody."""
    with tiny_engine() as engine:
        for seed in range(5):
            common: dict[str, Any] = {"seed": seed, "max_tokens": 10}
            params = ConfidenceVoting(samples=6, warmup=6, keep_percent=100, answer_marker="zzz")
            ours = collect(engine.submit(ask(strategy=params, **common))).only
            plain = SelfConsistency(samples=6, stop="never", answer_marker="zzz")
            assert ours.ids == collect(engine.submit(ask(strategy=plain, **common))).only.ids


def test_more_warm_up_than_samples_is_refused() -> None:
    with pytest.raises(ValidationError, match="warmup must be between 1 and samples"):
        ConfidenceVoting(samples=3, warmup=4)
