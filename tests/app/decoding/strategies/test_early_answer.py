"""Early answer, on texts that are written by hand and on a tiny model."""

from typing import Any

import pytest

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import EarlyAnswer, Sample
from app.decoding.strategies.base import Runnable
from tests.app.decoding.strategies.scripted import END, Run, Writer, drive
from tests.app.engine.tiny import ask, collect, tiny_engine


def early(**fields: Any) -> Runnable:
    triggers = [{"signal": "known", "threshold": 0.5}]
    return EarlyAnswer.model_validate({"triggers": triggers, **fields})


def hand(text: str, at: dict[int, float], answer: str = " 7") -> Writer:
    """Writes the text, with the signal at some places; behind a marker that is not its own, the answer."""

    def write(sequence: Sequence, _sampling: SamplingParams) -> Token:
        written = sequence.text
        _, forced, after = written.partition("Answer:")
        rest, place = (answer, len(after)) if forced and "Answer:" not in text else (text, len(written))
        if place == len(rest):
            return Token(END, -1.0, {})
        signals = {"known": at[place]} if rest is text and place in at else {}
        return Token(ord(rest[place]), -1.0, signals)

    return write


TEXT = "a.bcd.ef.So 9"


def test_a_step_that_is_complete_is_kept_and_one_that_is_not_taken_back() -> None:
    kept = drive(early(), hand(TEXT, {5: 0.9}))
    assert kept.text == "a.bcd.Answer: 7"
    assert kept.discarded == 0
    assert [event.rule for event in kept.events] == ["early_answer", "early_answer_marker"]
    assert kept.events[0].detail == {"signal": "known", "value": 0.9, "threshold": 0.5, "steps": 2}
    back = drive(early(), hand(TEXT, {3: 0.9}))
    assert back.text == "a.Answer: 7"
    assert back.discarded == 2
    assert (back.events[0].position, back.events[0].detail["discarded"]) == (2, 2)
    assert (back.events[1].position, back.events[1].detail) == (2, {"forced": 7})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"min_steps": 0}, "Answer: 7"),
        ({"min_steps": 1}, "a.Answer: 7"),
        ({"min_steps": 2}, "a.bcd.Answer: 7"),
        ({"min_steps": 3}, "a.bcd.ef.Answer: 7"),
        ({"min_steps": 4}, TEXT),
        ({"check": "step_end", "min_steps": 2}, "a.bcd.Answer: 7"),
    ],
)
def test_so_many_steps_are_written_in_any_case(fields: dict[str, Any], text: str) -> None:
    assert drive(early(**fields), hand(TEXT, dict.fromkeys(range(9), 0.9))).text == text


def test_only_the_end_of_a_step_counts_if_asked() -> None:
    assert drive(early(check="step_end"), hand(TEXT, {3: 0.9})).text == TEXT


def test_who_answers_already_is_not_asked_to() -> None:
    text = "a.bcd.ef.Answer: 9"
    ran: Run = drive(early(), hand(text, dict.fromkeys(range(16, 18), 0.9)))
    assert (ran.text, ran.events) == (text, [])


def test_a_line_break_before_the_first_step_stays() -> None:
    assert drive(early(min_steps=0), hand("\nab.", {2: 0.9})).text == "\nAnswer: 7"


def test_a_trigger_that_never_fires_is_the_base_sampler() -> None:
    never = EarlyAnswer.model_validate({"triggers": [{"signal": "entropy", "threshold": 1e9}]})
    with tiny_engine() as engine:
        for seed in range(4):
            ours, base = (
                collect(engine.submit(ask((3, 1, 4), each, seed=seed, max_tokens=30)))
                for each in (never, Sample())
            )
            assert (ours.only.ids, ours.only.events) == (base.only.ids, ())
