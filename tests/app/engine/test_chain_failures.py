"""Nothing that is not finite becomes a token: one error of the row's own request instead."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from app.decoding.core.sequence import Sequence
from app.decoding.sampling.params import SamplingParams
from app.decoding.sampling.samplers import SAMPLERS
from app.errors import ModelFailureError
from tests.app.engine.faulty import Faulty
from tests.app.engine.tiny import Result, ask, collect, tiny_engine


def removes_everything(logits: Tensor, *_: object) -> Tensor:
    return torch.full_like(logits, -torch.inf)


def makes_it_no_number(logits: Tensor, *_: object) -> Tensor:
    return logits.index_fill(-1, torch.tensor([7]), torch.nan)


def makes_it_infinite(logits: Tensor, *_: object) -> Tensor:
    return logits.index_fill(-1, torch.tensor([7]), torch.inf)


WRONGS = [removes_everything, makes_it_no_number, makes_it_infinite]


@pytest.fixture(params=WRONGS)
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes top-a and no-repeat n-grams wrong."""
    transform: Callable[..., Tensor] = request.param
    samplers = dict(SAMPLERS)
    for name in ("top_a", "no_repeat_ngram"):
        steps = [replace(step, apply=transform) for step in samplers[name].steps]
        samplers[name] = replace(samplers[name], steps=steps)
    monkeypatch.setattr("app.decoding.sampling.stages.SAMPLERS", samplers)


class Looking:
    """Takes the likeliest of two candidates every time."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        while not sequence.finished:
            sequence.take((await sequence.candidates(2))[0])
        return sequence


def run_beside(others: int, **fields: Any) -> tuple[Result, list[list[int]]]:
    """A request, and the tokens of those that ran in the same batches."""
    with tiny_engine() as engine:
        good = [engine.submit(ask([i, 5], seed=i)) for i in range(1, 1 + others)]
        bad = engine.submit(ask(**fields))
        return collect(bad), [collect(stream).only.ids for stream in good]


FAILING: Mapping[str, Mapping[str, Any]] = {
    "drawn": {"sampling": SamplingParams(top_a=0.5)},
    "drawn, and adjusted": {"sampling": SamplingParams(no_repeat_ngram_size=2)},
    "with a state": {"sampling": SamplingParams(top_a=0.5, mirostat=2)},
    "likeliest": {"sampling": SamplingParams(temperature=0, no_repeat_ngram_size=2)},
    "candidates": {"sampling": SamplingParams(no_repeat_ngram_size=2), "strategy": Looking()},
}


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("how", FAILING)
def test_a_chain_that_leaves_nothing_finite_is_an_error_and_no_token(how: str) -> None:
    result, others = run_beside(3, **FAILING[how])
    assert isinstance(result.error, ModelFailureError)
    assert not result.choices
    with tiny_engine() as engine:
        assert others == [collect(engine.submit(ask([i, 5], seed=i))).only.ids for i in range(1, 4)]


@pytest.mark.usefixtures("wrong")
def test_the_error_says_which_samplers_did_it() -> None:
    result, _ = run_beside(0, sampling=SamplingParams(top_a=0.5, top_k=3))
    assert "['top_k', 'top_a']" in str(result.error)


class ByEntropy:
    """A policy that nothing but a number satisfies."""

    needs = frozenset({"entropy"})

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.extend(sampling=lambda signals: SamplingParams(temperature=signals["entropy"]))
        return sequence


def test_logits_that_are_no_numbers_are_the_models_failure_whatever_a_policy_says_of_them() -> None:
    with tiny_engine(Faulty(set(), broken_slot=0)) as engine:
        result = collect(engine.submit(ask(strategy=ByEntropy())))
    assert isinstance(result.error, ModelFailureError)
    assert "not all numbers" in str(result.error)
