"""Retry upon regret on a real, tiny model; how it retries is in tests/app/decoding/test_retry.py."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, RetryUponRegret, Sample
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.errors import UnknownNameError
from tests.app.engine.tiny import Result, ask, collect, tiny_engine

STOPS = SamplingParams(temperature=0.9, logit_bias={46: 5.0})


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tiny_engine() as engine:
        yield engine


def run(engine: Engine, strategy: Runnable, seed: int, **rest: Any) -> Result:
    return collect(engine.submit(ask((3, 1, 4), strategy, STOPS, max_tokens=40, seed=seed, **rest)))


def regret(threshold: float, signal: str = "surprisal", **rest: Any) -> Runnable:
    triggers = [{"signal": signal, "threshold": threshold}]
    return RetryUponRegret.model_validate({"triggers": triggers, **rest})


@pytest.mark.parametrize("rest", [{}, {"granularity": "token"}, {"check": "step_end"}])
def test_a_trigger_that_never_fires_is_the_base_sampler(engine: Engine, rest: dict[str, Any]) -> None:
    for seed in range(4):
        base = run(engine, Sample(), seed, signals=("surprisal",))
        ours = run(engine, regret(1e9, **rest), seed)
        assert ours.only.ids == base.only.ids
        assert ours.only.events == ()
        assert ours.usage == base.usage or ours.only.tokens == base.only.tokens
    greedy = run(engine, Greedy(), 0)
    assert run(engine, regret(1e9, retry={"first": "greedy"}, **rest), 0).only.ids == greedy.only.ids


def test_by_token_no_token_is_kept_that_is_too_surprising_while_retries_last(engine: Engine) -> None:
    retry = {"per_step": 64, "per_answer": 1024}
    for seed in range(4):
        before = engine.stats()
        result = run(engine, regret(5.0, granularity="token", retry=retry), seed)
        after = engine.stats()
        assert all(-token.logprob <= 5.0 for token in result.only.tokens)
        events = [event for event in result.only.events if event.rule == "regret"]
        assert events
        assert result.usage is not None
        assert result.usage.discarded_tokens == len(events)
        assert after.forward_rows - before.forward_rows == 40 + len(events)


def test_keeping_the_best_attempt_costs_no_forward_row(engine: Engine) -> None:
    """Each attempt is one forward row per token, and what is kept is not computed again."""
    strategy = regret(0.0, retry={"per_step": 3, "per_answer": 6})
    restored = 0
    for seed in range(4):
        before = engine.stats()
        result = run(engine, strategy, seed)
        after = engine.stats()
        assert result.usage is not None
        restored += sum("restored" in event.detail for event in result.only.events)
        total = result.usage.completion_tokens + result.usage.discarded_tokens
        assert after.forward_rows - before.forward_rows == total
        assert sum(int(e.detail.get("discarded", 0)) for e in result.only.events) == (
            result.usage.discarded_tokens
        )
    assert restored


def test_retries_may_be_judged_by_triggers_of_their_own(engine: Engine) -> None:
    """A first attempt that is kept satisfies the one trigger, a retry that is kept the other."""
    retry = {"per_step": 64, "per_answer": 1024, "penalty": 0.0}
    again = [{"signal": "surprisal", "threshold": 6.0}]
    between = 0
    for seed in range(4):
        result = run(engine, regret(3.0, granularity="token", again=again, retry=retry), seed)
        assert "give_up" not in {event.rule for event in result.only.events}
        events = [event for event in result.only.events if event.rule == "regret"]
        for event in events:
            assert event.detail["threshold"] == (3.0 if event.detail["attempt"] == 1 else 6.0)
        retried = {event.position for event in events}
        for position, token in enumerate(result.only.tokens):
            assert -token.logprob <= (6.0 if position in retried else 3.0)
            between += -token.logprob > 3.0
    assert between


def test_the_best_attempt_is_the_best_by_the_triggers_of_retries(engine: Engine) -> None:
    """The first attempt too, whatever its own trigger says, and in whatever unit."""
    retry = {"per_step": 3, "per_answer": 1024, "penalty": 0.0}
    always = [{"signal": "max_probability", "threshold": -1.0}]
    again = [{"signal": "surprisal", "threshold": -1.0}]
    strategy = RetryUponRegret.model_validate(
        {"triggers": always, "again": again, "granularity": "token", "retry": retry}
    )
    kept = [0, 0, 0, 0]
    for seed in range(3):
        result = run(engine, strategy, seed)
        events = result.only.events
        for event in (event for event in events if event.rule == "give_up"):
            position = event.position - 1
            kept[int(event.detail["kept"]) - 1] += 1
            tried = [e for e in events if e.rule == "regret" and e.position == position]
            later = [float(e.detail["value"]) for e in tried if e.detail["attempt"] != 1]
            assert len(tried) == 3
            assert -result.only.tokens[position].logprob <= min(later) + 1e-3
    assert kept[0]
    assert sum(kept[1:])


def test_without_others_retries_are_judged_by_the_same_triggers(engine: Engine) -> None:
    same = [{"signal": "surprisal", "threshold": 3.0}]
    for seed in range(3):
        assert run(engine, regret(3.0), seed) == run(engine, regret(3.0, again=same), seed)


def test_a_probe_that_is_not_there_is_named_before_the_first_token(engine: Engine) -> None:
    with pytest.raises(UnknownNameError, match="probe:step_error"):
        engine.submit(ask((3, 1, 4), RetryUponRegret()))
