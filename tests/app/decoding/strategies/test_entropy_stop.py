"""Entropy stop, against its statistics written out and the place where they first hold."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.entropy_stop import EmaVariance, EntropyStop, RecentMean
from app.decoding.strategies.sample import Sample
from app.engine.engine import Engine
from app.errors import ParameterError
from tests.app.decoding.calibrated import calibration
from tests.app.decoding.strategies.by_hand import BIAS, PROMPT, STOP, Text, ends_step, greedy
from tests.app.engine.tiny import Result, TinyCheckpoint, ask, collect, tiny_engine, tiny_model

LENGTH = 24
GREEDY = SamplingParams(temperature=0.0, logit_bias={STOP: BIAS})
WARM = SamplingParams(temperature=0.9, logit_bias={STOP: BIAS})
Rule = EmaVariance | RecentMean
ENTROPIES = st.lists(st.floats(0, 6), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tiny_engine() as engine:
        yield engine


def run(engine: Engine, sampling: SamplingParams = GREEDY, seed: int = 0, **params: Any) -> Result:
    strategy = EntropyStop(step_ends=(".",), **params)
    return collect(engine.submit(ask(PROMPT, strategy, sampling, max_tokens=LENGTH, seed=seed)))


def base(engine: Engine, sampling: SamplingParams = GREEDY, seed: int = 0) -> Result:
    request = ask(PROMPT, Sample(), sampling, max_tokens=LENGTH, seed=seed, signals=("entropy",))
    return collect(engine.submit(request))


@given(ENTROPIES, st.floats(0.01, 0.99))
def test_the_ema_variance_is_the_weighted_variance(entropies: list[float], alpha: float) -> None:
    last = len(entropies) - 1
    weights = [(1 - alpha) ** last, *(alpha * (1 - alpha) ** (last - i) for i in range(1, last + 1))]
    assert sum(weights) == pytest.approx(1)
    mean = sum(weight * value for weight, value in zip(weights, entropies, strict=True))
    variance = sum(weight * (value - mean) ** 2 for weight, value in zip(weights, entropies, strict=True))
    assert EmaVariance(alpha=alpha).value(entropies) == pytest.approx(variance, abs=1e-9)


@given(ENTROPIES, st.integers(1, 50))
def test_the_recent_mean_is_that_of_the_window(entropies: list[float], window: int) -> None:
    recent = list(reversed(entropies))[:window]
    assert RecentMean(window=window).value(entropies) == pytest.approx(sum(recent) / len(recent))


def expected_stop(tokens: Sequence[Token], rule: Rule, threshold: float, min_steps: int) -> int | None:
    """How many of the tokens there are up to the first step end at which the statistic is below."""
    entropies = [token.signals["entropy"] for token in tokens]
    start = steps = 0
    for end in range(1, len(tokens) + 1):
        if ends_step(Text(tuple(token.id for token in tokens[:end])), start):
            start, steps = end, steps + 1
            if steps >= min_steps and rule.value(entropies[:end]) < threshold:
                return end
    return None


CASES = [
    (RecentMean(window=4), 3.1, 1),
    (RecentMean(window=30), 3.3, 2),
    (EmaVariance(alpha=0.3), 0.5, 1),
    (EmaVariance(alpha=0.1), 1.0, 3),
]


@pytest.mark.parametrize(("rule", "threshold", "min_steps"), CASES)
def test_it_ends_at_the_first_step_end_at_which_the_entropy_has_settled(
    engine: Engine, rule: Rule, threshold: float, min_steps: int
) -> None:
    stops: list[int | None] = []
    for seed in range(6):
        tokens = base(engine, WARM, seed).only.tokens
        stop = expected_stop(tokens, rule, threshold, min_steps)
        stops.append(stop)
        result = run(engine, WARM, seed, rule=rule, threshold=threshold, min_steps=min_steps, then="end")
        assert result.only.ids == [token.id for token in tokens[:stop]]
        if stop is None:
            assert result.only.events == ()
            continue
        assert result.only.done is not None
        assert result.only.done.stop_reason == "entropy_settled"
        assert [(event.position, event.rule) for event in result.only.events] == [
            (stop, "settled"),
            (stop, "finish"),
        ]
        assert result.usage is not None
        assert (result.usage.completion_tokens, result.usage.discarded_tokens) == (stop, 0)
    assert len(set(stops)) > 1


def test_or_the_answer_is_forced_and_the_model_goes_on(engine: Engine) -> None:
    tokens = base(engine).only.tokens
    stop = expected_stop(tokens, RecentMean(window=4), 3.1, 1)
    assert stop is not None
    result = run(
        engine, rule=RecentMean(window=4), threshold=3.1, answer_marker="It is", min_steps=1, then="answer"
    )
    forced = Text((*(token.id for token in tokens[:stop]), *b"It is"))
    assert result.only.ids == list(greedy(Text(forced.ids, (0.0,) * len(forced.ids)), LENGTH).ids)
    # The marker is there: the entropy may settle again, but the answer is not interrupted.
    assert [event.rule for event in result.only.events] == ["settled", "force_answer"]


def test_what_never_settles_is_the_request_own_sampling(engine: Engine) -> None:
    for sampling in (GREEDY, SamplingParams(temperature=0.9)):
        never = run(engine, sampling, seed=3, threshold=0.0)
        assert never.only.ids == base(engine, sampling, seed=3).only.ids
        assert never.only.events == ()


def test_the_statistic_over_the_calibrated_tokens_stands_in_for_a_threshold(engine: Engine) -> None:
    measured = calibration(entropy_98=6.2)  # mean 3.1, variance 1.55
    with Engine(TinyCheckpoint(tiny_model()), calibration=measured) as calibrated:
        for rule, threshold in ((RecentMean(window=4), 3.1), (EmaVariance(), 1.55)):
            given_one = run(engine, rule=rule, threshold=threshold)
            assert run(calibrated, rule=rule).only.ids == given_one.only.ids
    with pytest.raises(ParameterError, match="no threshold"):
        run(engine)
