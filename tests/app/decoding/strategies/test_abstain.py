"""Abstaining: by hand, with a table of counts, and on simulated problems."""

from collections.abc import Callable
from typing import Any

import pytest

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.calibration.risk import choose
from app.decoding.core.sequence import Sequence
from app.decoding.core.span import SequenceSpec
from app.decoding.core.text import Ledger
from app.decoding.core.types import StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.decoding.strategies.abstain import Abstain
from app.engine.engine import Engine
from app.errors import ParameterError
from tests.app.decoding.calibrated import COUNTS, calibration, with_risk
from tests.app.decoding.strategies.scripted import END, VOCABULARY, Run, drive
from tests.app.engine.tiny import TinyCheckpoint, ask, collect, tiny_model

CALIBRATED = with_risk(calibration(), (0.2, 0.5, 0.9))


def begin(measured: SignalCalibration | None, max_tokens: int = 50) -> Sequence:
    return Sequence(
        SequenceSpec(
            prompt_ids=(63,),
            sampling=SamplingParams(temperature=0.7),
            stopping=StoppingParams(max_tokens=max_tokens),
            context_length=100,
            end_token_ids=(END,),
            vocabulary=VOCABULARY,
            encode=lambda text: list(text.encode()),
            calibration=measured,
        ),
        Ledger(),
    )


def writes(text: str, signal: str, *values: float | None) -> Callable[[Sequence, SamplingParams], Token]:
    """The text, with the signal's values at its tokens, the end token's included; None and beyond: none."""

    def write(sequence: Sequence, sampling: SamplingParams) -> Token:
        assert sampling.temperature == 0.0
        place = sequence.position
        value = values[place] if place < len(values) else None
        return Token(
            END if place == len(text) else ord(text[place]), -1.0, {} if value is None else {signal: value}
        )

    return write


def run(score: str, text: str, signal: str, *values: float | None, **params: Any) -> Run:
    fields = {"score": score, "threshold": 0.5}
    strategy = Abstain.model_validate(fields | params)
    assert strategy.needs == {signal}
    return drive(strategy, writes(text, signal, *values), begin(CALIBRATED))


def ended(done: Run) -> tuple[str, str, int]:
    """Finish reason, text and the number of tokens that were computed."""
    assert done.result.finished or done.result.position == 0
    ending = done.result.ending
    return ("" if ending is None else ending.reason), done.text, done.result.ledger.spent


def test_the_answers_own_doubt_is_read_before_it_is_written() -> None:
    signal = "probe:answer_error"
    assert ended(run("answer_error", "yes", signal, 0.5)) == ("stop", "yes", 4)
    assert ended(run("answer_error", "yes", signal, 0.6)) == ("abstain", "", 1)
    assert ended(run("answer_error", "yes", signal, None, 0.4, 0.9)) == ("stop", "yes", 4)
    assert ended(run("answer_error", "yes", signal, None, None, None)) == ("abstain", "", 4)


def test_the_worst_step_and_the_sum_end_the_text_at_once_and_the_mean_at_the_end() -> None:
    assert ended(run("step_error", "abc", "probe:step_error", 0.1, 0.6, 0.1)) == ("abstain", "", 2)
    assert ended(run("step_error", "abc", "probe:step_error", 0.1, 0.4, 0.3)) == ("stop", "abc", 4)
    assert ended(run("step_error", "abc", "probe:step_error")) == ("abstain", "", 4)
    assert ended(run("surprisal", "abc", "surprisal", 0.2, 0.2, 0.2, 0.2)) == ("abstain", "", 3)
    assert ended(run("surprisal", "abc", "surprisal", 0.2, 0.2, 0.1, 9.0)) == ("stop", "abc", 4)
    assert ended(run("mean_entropy", "abc", "entropy", 0.9, 0.3, 0.3, 9.0)) == ("stop", "abc", 4)
    assert ended(run("mean_entropy", "abc", "entropy", 0.9, 0.4, 0.3, 0.0)) == ("abstain", "", 4)


def test_the_threshold_is_that_of_the_tests_and_the_trace_says_why() -> None:
    done = run("step_error", "ab", "probe:step_error", 0.3, 0.4, threshold=None, level=0.1, delta=0.1)
    chosen = choose(COUNTS, COUNTS, "selective", 0.1, 0.1)
    assert chosen is not None
    (event,) = done.events
    assert (event.rule, event.position) == ("answer", 3)
    assert event.detail == {
        "score": "step_error",
        "value": 0.4,
        "threshold": 0.5,
        "risk": "selective",
        "level": 0.1,
        "delta": 0.1,
        "bound": chosen.bound,
        "coverage": 0.75,
        "guaranteed": 1,
    }
    declined = run("step_error", "ab", "probe:step_error", 0.6, threshold=None, level=0.1, delta=0.1)
    (event,) = declined.events
    assert event.rule == "abstain"
    named = {name: event.detail[name] for name in ("reason", "value", "threshold", "discarded")}
    assert named == {"reason": "risk", "value": 0.6, "threshold": 0.5, "discarded": 1}


def test_what_is_infeasible_is_refused_and_the_level_that_is_named_is_not() -> None:
    strategy = Abstain(level=0.02)
    with pytest.raises(ParameterError, match="infeasible") as caught:
        strategy.thresholds(CALIBRATED)
    named = float(str(caught.value).partition("can be kept is ")[2].partition(";")[0])
    assert Abstain(level=named).thresholds(CALIBRATED).threshold == 0.2
    with pytest.raises(ParameterError, match="infeasible"):
        Abstain(level=named - 0.0002).thresholds(CALIBRATED)


@pytest.mark.parametrize(
    ("measured", "message"), [(None, "no threshold"), (calibration(), "lacks; run `demur calibrate")]
)
def test_without_counts_it_is_refused(measured: SignalCalibration | None, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Abstain().thresholds(measured)
    assert Abstain(threshold=0.3).thresholds(measured).threshold == 0.3


def test_in_the_engine_it_refuses_before_the_first_token_and_else_is_greedy_or_nothing() -> None:
    with Engine(TinyCheckpoint(tiny_model()), calibration=CALIBRATED) as engine:
        with pytest.raises(ParameterError, match="infeasible"):
            engine.submit(ask(strategy=Abstain(level=0.001, score="surprisal")))
        assert engine.stats().forward_rows == 0
        greedy = collect(engine.submit(ask(strategy=Greedy()))).only
        entropies = collect(engine.submit(ask(strategy=Greedy(), signals=("entropy",)))).only
        mean = sum(token.signals["entropy"] for token in entropies.tokens) / len(entropies.tokens)
        for threshold in (mean + 0.01, mean - 0.01):
            params = Abstain(score="mean_entropy", threshold=threshold)
            result = collect(engine.submit(ask(strategy=params)))
            assert result.only.done is not None
            assert result.usage is not None
            if threshold > mean:
                assert result.only.ids == greedy.ids
                assert result.only.done.finish_reason == "length"
            else:
                assert result.only.ids == []
                assert result.only.done.finish_reason == "abstain"
                assert result.usage.discarded_tokens == 12
