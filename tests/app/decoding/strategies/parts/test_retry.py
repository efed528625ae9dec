"""Taking steps back and trying again, on texts that are written by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import RetryUponRegret
from app.decoding.strategies.parts.retry import Retry
from tests.app.decoding.strategies.scripted import END, Run, Writer, attempts, begin, drive


def regret(threshold: float = 0.5, **retry: Any) -> Any:
    params = {"triggers": [{"signal": "doubt", "threshold": threshold}], "retry": retry}
    return RetryUponRegret.model_validate(params)


def require_trace_replays(run: Run) -> None:
    """Every jump of the position is an event, with the right number of tokens; what events say was discarded
    is what was drawn and is not in the text."""
    jumps = [
        (before + 1, after)
        for before, after in zip(run.places, run.places[1:], strict=False)
        if after != before + 1
    ]
    expected: list[tuple[int, int]] = []
    for event in run.events:
        lost = int(event.detail.get("discarded", 0))
        kept = int(event.detail.get("set_aside", 0)) - int(event.detail.get("restored", 0))
        if event.rule != "let_go" and lost + kept:
            expected.append((event.position + lost + kept, event.position))
    if run.result.ending is not None and run.places[-1] + 1 != run.result.position:
        jumps.append((run.places[-1] + 1, run.result.position))
    assert expected == jumps
    assert sum(int(event.detail.get("discarded", 0)) for event in run.events) == run.discarded


def test_a_step_that_is_regretted_is_written_again_from_its_beginning() -> None:
    run = drive(regret(), attempts([("a.", 0.1)], [("bad.", 0.9), ("good.", 0.2)], [("c.", 0.3)]))
    assert run.text == "a.good.c."
    assert run.discarded == len("bad.")
    event, let_go = run.events
    assert (event.position, event.rule) == (2, "regret")
    assert event.detail == {
        "attempt": 1,
        "signal": "doubt",
        "value": 0.9,
        "threshold": 0.5,
        "text": "bad.",
        "temperature": 1.0,
        "penalty": 4.0,
        "discarded": 0,
        "set_aside": 4,
    }
    assert (let_go.position, let_go.rule) == (7, "let_go")
    assert let_go.detail == {"attempt": 1, "discarded": 4}
    require_trace_replays(run)


FOUR = ([("a.", 0.9), ("bb.", 0.7), ("cc.", 0.8), ("d.", 0.95)], [("next.", 0.1)])


@pytest.mark.parametrize(
    ("give_up", "text", "reason"),
    [
        ("keep_best", "bb.next.", "stop"),
        ("keep_last", "d.next.", "stop"),
        ("stop", "", "stop"),
        ("abstain", "", "abstain"),
    ],
)
def test_when_no_retry_is_left(give_up: str, text: str, reason: str) -> None:
    run = drive(regret(per_step=3, give_up=give_up), attempts(*FOUR))
    assert run.text == text
    assert run.result.ending is not None
    assert run.result.ending.reason == reason
    # Nothing is computed again: what was drawn are the four attempts and what follows.
    assert len(run.drawn) == len("a.bb.cc.d.") + (len("next.") + 1 if text else 0)
    require_trace_replays(run)


def test_the_first_of_equally_good_attempts_is_kept() -> None:
    run = drive(regret(per_step=2), attempts([("a.", 0.9), ("b.", 0.9), ("c.", 0.9)]))
    assert run.text == "a."
    require_trace_replays(run)


@given(
    st.integers(0, 4),
    st.integers(0, 9),
    st.lists(
        st.lists(st.integers(0, 100).map(lambda percent: percent / 100), min_size=1, max_size=6),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["keep_best", "keep_last"]),
)
def test_budgets_hold_exactly(
    per_step: int, per_answer: int, doubts: list[list[float]], give_up: str
) -> None:
    steps = [[(f"{'x' * (1 + index)}.", value) for index, value in enumerate(step)] for step in doubts]
    run = drive(regret(per_step=per_step, per_answer=per_answer, give_up=give_up), attempts(*steps))
    left, expected = per_answer, 0
    text = ""
    for step in steps:
        shown = [step[min(index, len(step) - 1)] for index in range(1 + min(per_step, left))]
        used = next((index for index, (_, value) in enumerate(shown) if value <= 0.5), None)
        retries = len(shown) - 1 if used is None else used
        if used is not None:
            text += shown[used][0]
        elif give_up == "keep_last":
            text += shown[-1][0]
        else:
            text += min(shown, key=lambda attempt: attempt[1])[0]
        left -= retries
        expected += retries
    assert sum(event.rule == "regret" for event in run.events) == expected
    assert run.text == text
    require_trace_replays(run)


def test_a_trigger_inside_a_step_saves_the_rest_of_it_and_rejects_the_same() -> None:
    steps = ([("ab!cdef.", 0.9), ("xy!z.", 0.1)], [("e!.", 0.2)])
    eager = drive(regret(), attempts(*steps, at="!"))
    params = {"triggers": [{"signal": "doubt", "threshold": 0.5}], "check": "step_end"}
    late = drive(RetryUponRegret.model_validate(params), attempts(*steps, at="!"))
    assert eager.text == late.text == "xy!z.e!."
    assert (eager.discarded, late.discarded) == (3, 8)


def test_a_broken_off_attempt_that_is_kept_is_written_to_its_end() -> None:
    run = drive(regret(per_step=1), attempts([("ab!cd.", 0.8), ("xy!z.", 0.9)], [("e.", 0)], at="!"))
    # The hand that writes goes on with the text of the last attempt.
    assert run.text == "ab!z.e."
    require_trace_replays(run)


def test_a_line_break_before_a_step_stays() -> None:
    texts = iter("\nab.cd.")

    def write(_: Sequence, __: SamplingParams) -> Token:
        character = next(texts, None)
        if character is None:
            return Token(END, -1.0, {})
        return Token(ord(character), -1.0, {"doubt": 0.9} if character == "b" else {})

    run = drive(regret(), write)
    # "ab" is taken back, and ".cd." follows.
    assert run.text == "\n.cd."
    assert run.events[0].position == 1


def test_any_of_several_triggers_fires_and_the_trace_names_it() -> None:
    params = {
        "triggers": [
            {"signal": "doubt", "threshold": 0.5},
            {"signal": "margin", "threshold": 0.2, "when": "below"},
        ]
    }
    strategy = RetryUponRegret.model_validate(params)
    assert strategy.needs == {"doubt", "margin"}
    run = drive(strategy, attempts([("a.", 0.1), ("b.", 0.5)], signal="margin"))
    assert run.text == "b."
    assert run.events[0].detail["signal"] == "margin"


def sampling_log(writer: Writer, log: list[SamplingParams]) -> Writer:
    def write(sequence: Sequence, sampling: SamplingParams) -> Token:
        log.append(sampling)
        return writer(sequence, sampling)

    return write


def test_retries_are_drawn_hotter_and_what_was_rejected_loses() -> None:
    log: list[SamplingParams] = []
    writer = sampling_log(attempts([("aa.", 0.9), ("ab.", 0.9), ("c.", 0.1)]), log)
    base = SamplingParams(temperature=0.5, top_p=0.9, logit_bias={ord("a"): -1.0})
    strategy = regret(temperature=1.5, penalty=2.0, penalised_tokens=2)
    drive(strategy, writer, begin(sampling=base))
    first, retry, again = log[:3], log[3:6], log[6:8]
    assert first == [base] * 3
    a, b = ord("a"), ord("b")
    # The second token is penalised only after the same first one, the third not at all.
    assert [dict(each.logit_bias) for each in retry] == [{a: -3.0}, {a: -3.0}, {a: -1.0}]
    assert [dict(each.logit_bias) for each in again] == [{a: -5.0}, {a: -1.0}]
    assert {each.temperature for each in (*retry, *again)} == {1.5}
    assert {each.top_p for each in log} == {0.9}
    assert log[-1] == base
    log.clear()
    deep = sampling_log(attempts([("aa.", 0.9), ("ab.", 0.9), ("ac.", 0.1)]), log)
    drive(strategy, deep, begin())
    assert dict(log[7].logit_bias) == {a: -2.0, b: -2.0}


def test_the_first_attempt_may_be_greedy() -> None:
    log: list[SamplingParams] = []
    drive(regret(first="greedy"), sampling_log(attempts([("a.", 0.9), ("b.", 0.1)]), log))
    assert [each.temperature for each in log] == [0, 0, 1, 1, 0]


def test_retries_that_could_not_differ_are_refused() -> None:
    with pytest.raises(ValidationError, match="raise one of them"):
        Retry(temperature=0, penalty=0)
    assert Retry(temperature=0, penalty=1).temperature == 0
    assert Retry(temperature=0, per_step=0).per_step == 0
