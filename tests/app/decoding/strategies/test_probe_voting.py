"""Votes by probes, on readings that are given, and with weights that say nothing."""

from collections.abc import Callable
from math import log
from typing import Any

import pytest
from pydantic import ValidationError

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.probe_voting import ProbeVoting, vote_weight
from tests.app.decoding.strategies.scripted import END, Run, begin, drive

Texts = tuple[tuple[str, dict[str, list[float]]], ...]


def samples(texts: Texts) -> Callable[[Sequence, SamplingParams], Token]:
    """Sample i writes text i; at its full stops are the probes' readings, in order."""

    def write(sequence: Sequence, _: SamplingParams) -> Token:
        text, readings = texts[sequence.branch[1] + 1 if len(sequence.branch) > 1 else 0]
        place = sequence.position
        if place == len(text):
            return Token(END, -1.0, {})
        step = text[:place].count(".")
        read = {f"probe:{name}": values[step] for name, values in readings.items() if text[place] == "."}
        return Token(ord(text[place]), -1.0, read)

    return write


def run(*texts: tuple[str, dict[str, list[float]]], **params: Any) -> Run:
    fields: dict[str, Any] = {"samples": len(texts), "answer_marker": ":"}
    return drive(ProbeVoting.model_validate(fields | params), samples(texts), begin())


def weights(done: Run) -> list[Any]:
    return [event.detail.get("weight") for event in done.events if event.rule == "ballot"]


SURE = ("a.b.:1", {"step_error": [0.1, 0.2]})
DOUBTED = ("a.b.:2", {"step_error": [0.8, 0.5]})


def test_readings_are_multiplied_or_the_worst_or_the_last_is_taken() -> None:
    assert weights(run(SURE, DOUBTED)) == pytest.approx([0.72, 0.1])
    assert weights(run(SURE, DOUBTED, aggregate="min")) == pytest.approx([0.8, 0.2])
    assert weights(run(SURE, DOUBTED, aggregate="last")) == pytest.approx([0.8, 0.5])


def test_several_probes_are_multiplied_and_one_that_was_not_read_says_nothing() -> None:
    both = ("a.:1", {"step_error": [0.5], "syntax": [0.2]})
    done = run(both, SURE, ("no step", {}), ("none :3", {}), probes=("probe:step_error", "probe:syntax"))
    assert weights(done) == [pytest.approx(0.4), pytest.approx(0.72), None, 0.0]


def test_two_doubted_votes_lose_against_one_that_is_not() -> None:
    done = run(DOUBTED, DOUBTED, SURE)
    assert done.text == "a.b.:1"
    assert run(DOUBTED, DOUBTED, ("a.b.:1", {"step_error": [0.5, 0.7]})).text == "a.b.:2"


def test_log_odds_let_a_doubted_text_vote_against_its_answer() -> None:
    texts = (DOUBTED, ("c.:3", {"step_error": [0.5]}), DOUBTED)
    assert run(*texts).text == "c.:3"
    done = run(*texts, weight="log_odds")
    assert weights(done) == pytest.approx([log(1 / 9), 0.0, log(1 / 9)])
    assert done.text == "c.:3"
    assert vote_weight(1.0, "log_odds") == pytest.approx(-vote_weight(0.0, "log_odds"))
    assert vote_weight(None, "log_odds") == 0.0


def test_equal_readings_are_a_majority() -> None:
    texts = (("a.:1", {"step_error": [0.3]}), ("a.:2", {"step_error": [0.3]}))
    assert run(*texts, texts[1]).text == "a.:2"
    assert run(*texts).text == "a.:1"


def test_only_probes_can_vote() -> None:
    with pytest.raises(ValidationError, match="probe:"):
        ProbeVoting(probes=("entropy",))
    assert ProbeVoting(probes=("probe:a", "probe:b")).needs == {"probe:a", "probe:b"}
