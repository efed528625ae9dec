"""Any two parameters of one type, swapped, change an answer: none can stand in for another unseen."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.decoding.strategies import Strategy
from app.engine.engine import Engine
from app.engine.types import EngineLimits, GenerationRequest
from app.errors import RequestError
from tests.app.decoding.calibrated import calibration, with_risk
from tests.app.decoding.strategies.test_contract import KINDS, PROBES, SEEDS, outcome, request_of
from tests.app.engine.tiny import TinyCheckpoint, collect, tiny_model

# Where an example has equal values, or such that a swap does not show: others, per strategy.
DISTINCT: dict[str, dict[str, Any]] = {
    "abstain": {"level": 0.2},
    "adadec": {"lookahead": 2, "candidates": 6},
    "entropix": {"entropy_low": 2.6, "varentropy_low": 2.4, "candidates": 4, "lookahead": 2},
    "probe_beam": {"width": 1, "samples": 4},
    "entropy_gated_branching": {"candidates": 4, "width": 2},
    "self_consistency": {"samples": 6},
    "random_retry": {"retry": {"penalty": 9.0, "penalised_tokens": 4}},
    "retry_upon_regret": {"retry": {"penalty": 9.0, "penalised_tokens": 4}},
    "confidence_voting": {"samples": 8, "warmup": 5, "window": 2, "batch": 3},
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    measured = with_risk(calibration(), (2.5, 3.0, 3.5))
    with Engine(TinyCheckpoint(tiny_model()), EngineLimits(max_rows=32), PROBES, measured) as engine:
        yield engine


def swaps(model: BaseModel) -> Iterator[tuple[str, BaseModel]]:
    """The model with two fields of one type swapped, its own or those of a model within it. A swap that is
    refused cannot go unseen."""
    fields = [(name, info.annotation) for name, info in type(model).model_fields.items()]
    for (a, one), (b, other) in combinations(fields, 2):
        if one == other:
            with suppress(ValidationError):
                fields_now = dict(model) | {a: getattr(model, b), b: getattr(model, a)}
                yield f"{a}, {b}", type(model).model_validate(fields_now)
    for name, value in model:
        if isinstance(value, BaseModel):
            for what, swapped in swaps(value):
                yield f"{name}: {what}", model.model_copy(update={name: swapped})


def answers(engine: Engine, request: GenerationRequest, strategy: Strategy) -> list[object]:
    """What is answered for some seeds; a refusal is an answer too."""
    try:
        asked = [replace(request, strategy=strategy, seed=seed) for seed in SEEDS]
        return [outcome(collect(stream)) for stream in [engine.submit(each) for each in asked]]
    except RequestError as error:
        return [error.message]


@pytest.mark.parametrize("kind", KINDS)
def test_a_swap_shows(engine: Engine, kind: str) -> None:
    request = request_of(kind, **DISTINCT.get(kind, {}))
    assert isinstance(request.strategy, Strategy)
    base = answers(engine, request, request.strategy)
    for what, swapped in swaps(request.strategy):
        assert isinstance(swapped, Strategy)
        assert answers(engine, request, swapped) != base, what
