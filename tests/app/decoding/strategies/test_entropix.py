"""Entropix: each quadrant on its own against something else that does the same, and their borders."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.adadec import AdaDec
from app.decoding.strategies.entropix import Entropix, Thresholds
from app.decoding.strategies.sample import Sample
from app.engine.engine import Engine
from app.errors import ParameterError
from tests.app.decoding.calibrated import calibration
from tests.app.decoding.strategies.by_hand import BIAS, PROMPT, STOP, Text, look
from tests.app.engine.tiny import VOCABULARY, Result, TinyCheckpoint, ask, collect, tiny_engine, tiny_model

LENGTH = 16
GREEDY = SamplingParams(temperature=0.0, logit_bias={STOP: BIAS})
WARM = SamplingParams(temperature=0.9, logit_bias={STOP: BIAS})
# Thresholds that put every token into one quadrant.
ALL: Mapping[str, Mapping[str, float]] = {
    "sample": {"entropy_low": 0, "entropy_high": 100, "varentropy_low": 0, "varentropy_high": 1e4},
    "argmax": {"entropy_low": 100, "entropy_high": 100, "varentropy_low": 1e4, "varentropy_high": 1e4},
    "pause": {"entropy_low": 0, "entropy_high": 0, "varentropy_low": 1e4, "varentropy_high": 1e4},
    "branch": {"entropy_low": 0, "entropy_high": 100, "varentropy_low": 0, "varentropy_high": 0},
    "resample": {"entropy_low": 0, "entropy_high": 0, "varentropy_low": 0, "varentropy_high": 0},
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tiny_engine() as engine:
        yield engine


def run(
    engine: Engine, quadrant: str, sampling: SamplingParams = GREEDY, seed: int = 0, **params: Any
) -> Result:
    strategy = Entropix(**ALL[quadrant], **params)
    return collect(engine.submit(ask(PROMPT, strategy, sampling, max_tokens=LENGTH, seed=seed)))


def sampled(engine: Engine, sampling: SamplingParams, seed: int = 0) -> list[int]:
    request = ask(PROMPT, Sample(), sampling, max_tokens=LENGTH, seed=seed)
    return collect(engine.submit(request)).only.ids


@pytest.mark.parametrize("seed", range(4))
def test_between_the_quadrants_it_is_the_request_own_sampling(engine: Engine, seed: int) -> None:
    for sampling in (GREEDY, WARM):
        result = run(engine, "sample", sampling, seed)
        assert result.only.ids == sampled(engine, sampling, seed)
        assert result.only.events == ()


def test_low_and_low_is_greedy_at_any_temperature(engine: Engine) -> None:
    for sampling in (GREEDY, WARM):
        result = run(engine, "argmax", sampling, seed=5)
        assert result.only.ids == sampled(engine, GREEDY)
        assert result.usage is not None
        assert result.usage.discarded_tokens == 0


def test_high_and_high_is_sampling_at_the_other_temperature(engine: Engine) -> None:
    hot = SamplingParams(temperature=1.7, logit_bias={STOP: BIAS})
    result = run(engine, "resample", WARM, seed=5, resample_temperature=1.7)
    assert result.only.ids == sampled(engine, hot, seed=5)
    assert {event.detail["temperature"] for event in result.only.events} == {1.7}


def test_or_another_token_in_the_place_of_the_one_that_was_drawn(engine: Engine) -> None:
    result = run(engine, "resample", resample="without", resample_temperature=0.0)
    text = Text()
    while len(text.ids) < LENGTH:
        text = look(text, 2)[1][1]
    assert result.only.ids == list(text.ids)
    assert result.usage is not None
    assert result.usage.discarded_tokens == LENGTH


@pytest.mark.parametrize(("candidates", "lookahead"), [(3, 5), (5, 2)])
def test_high_and_low_looks_ahead_as_adadec_does(engine: Engine, candidates: int, lookahead: int) -> None:
    result = run(engine, "pause", candidates=candidates, lookahead=lookahead)
    adadec = AdaDec(threshold=0.0, candidates=candidates, lookahead=lookahead)
    assert result.only.ids == collect(engine.submit(ask(PROMPT, adadec, GREEDY, max_tokens=LENGTH))).only.ids
    assert result.usage is not None
    counted = sum(int(event.detail["discarded"]) for event in result.only.events)
    assert counted == result.usage.discarded_tokens


def test_low_and_high_keeps_the_likeliest_branch_up_to_the_end_of_its_step(engine: Engine) -> None:
    def ended(text: Text) -> bool:
        return VOCABULARY[text.ids[-1]].endswith(b".") or len(text.ids) == LENGTH

    text = Text()
    while len(text.ids) < LENGTH:
        start, branches = len(text.ids), look(text, 3)[1]
        for index in range(3):
            while not ended(branches[index]):
                branches[index] = look(branches[index], 1)[1][0]
        text = max(branches, key=lambda branch: sum(branch.logprobs[start:]) / len(branch.logprobs[start:]))
    result = run(engine, "branch", step_ends=(".",))
    assert result.only.ids == list(text.ids)
    assert result.usage is not None
    counted = sum(int(event.detail["discarded"]) for event in result.only.events)
    assert counted == result.usage.discarded_tokens


def test_a_token_lies_in_one_quadrant_and_a_border_belongs_to_the_low_side() -> None:
    thresholds = Thresholds(entropy_low=1, entropy_high=2, varentropy_low=3, varentropy_high=4)
    table = {
        (0.5, 2.0): "argmax",
        (1.0, 3.0): "argmax",
        (1.5, 2.0): "sample",
        (0.5, 3.5): "sample",
        (2.0, 3.0): "sample",
        (2.5, 3.0): "pause",
        (2.5, 3.5): "sample",
        (0.5, 4.5): "branch",
        (2.0, 4.5): "branch",
        (2.5, 4.5): "resample",
        (2.5, 4.0): "sample",
    }
    for (entropy, varentropy), quadrant in table.items():
        assert thresholds.quadrant({"entropy": entropy, "varentropy": varentropy}) == quadrant


def test_thresholds_come_from_the_calibration_where_they_are_left_out() -> None:
    measured = calibration(entropy_98=2.94, varentropy_98=3.0)
    assert Entropix().thresholds(measured) == Thresholds(2.94 * 95 / 98, 2.94, 3.0, 3.0)
    given_one = Entropix(entropy_high=3.5).thresholds(measured)
    assert given_one.entropy_high == 3.5
    with Engine(TinyCheckpoint(tiny_model()), calibration=measured) as calibrated:
        request = ask(PROMPT, Entropix(), WARM, max_tokens=LENGTH)
        assert collect(calibrated.submit(request)).error is None
        with pytest.raises(ParameterError, match=r"entropy_low is 3\.5, above entropy_high, which is 2\.94"):
            calibrated.submit(ask(PROMPT, Entropix(entropy_low=3.5)))


def test_thresholds_that_are_nowhere_or_crossed_are_refused(engine: Engine) -> None:
    with pytest.raises(ParameterError, match=r"no entropy_high, varentropy_low, varentropy_high.*calibrate"):
        engine.submit(ask(PROMPT, Entropix(entropy_low=1.0)))
    with pytest.raises(ValidationError, match=r"varentropy_low is 2\.0; it may not be above"):
        Entropix(varentropy_low=2.0, varentropy_high=1.0)
