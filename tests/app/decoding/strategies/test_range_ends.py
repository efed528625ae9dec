"""Every strategy and any chain at the ends of their ranges: it ends for a reason, and all is numbers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from app.decoding.sampling.params import SamplingParams
from app.engine.engine import Engine
from app.errors import RequestError
from tests.app.decoding.sampling.extremes import chains
from tests.app.decoding.strategies.examples import EXAMPLES
from tests.app.decoding.strategies.test_contract import ADAPTER, KINDS, engine, merged
from tests.app.engine.tiny import Result, ask, collect

__all__ = ["engine"]

MAX_TOKENS = 7
_MOST = 64  # of what is counted: a walk of 10,000 steps is no other than one of 64, and takes minutes


def ends(model: BaseModel) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    """Every number among the parameters, nested ones too, by its path, and the ends of what it may be."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from (((name, *path), values) for path, values in ends(value))
        values: list[float] = []
        # A bound of an optional number stands with its type.
        for bound in info.metadata:
            match bound:
                case Ge(ge=end) | Le(le=end):
                    values.append(float(str(end)))
                case Gt(gt=end):
                    values += [math.nextafter(float(str(end)), math.inf), 1e-46]
                case Lt(lt=end):
                    values.append(math.nextafter(float(str(end)), -math.inf))
                case _:
                    pass
        if values:
            whole = isinstance(value, int) and not isinstance(value, bool)
            yield (name,), [min(int(each), _MOST) for each in values] if whole else [*values, 1e-46]


def at(path: tuple[str, ...], value: float) -> Mapping[str, Any]:
    """The change that gives the parameter at `path` this value."""
    name, *rest = path
    return {name: at(tuple(rest), value) if rest else value}


@st.composite
def parameters(draw: st.DrawFn, kind: str) -> BaseModel:
    """Those of the example with some numbers at an end."""
    fields: Mapping[str, Any] = {"kind": kind, **EXAMPLES[kind].params}
    plain = ADAPTER.validate_python(fields)
    places = list(ends(plain))
    for path, values in draw(st.lists(st.sampled_from(places), max_size=4)) if places else []:
        fields = merged(fields, at(path, draw(st.sampled_from(values))))
    try:
        return ADAPTER.validate_python(fields)
    except ValidationError:  # numbers that do not go together
        assume(False)
        raise


def assert_complete(result: Result) -> None:
    """It ended for a reason that it names, and nothing in it is no number."""
    answer = result.only
    assert answer.done is not None
    reason, why = answer.done.finish_reason, answer.done.stop_reason
    assert reason == "length" or why is not None, (reason, why)
    if reason == "length":
        assert len(answer.tokens) == MAX_TOKENS
    for token in answer.tokens:
        assert not math.isnan(token.logprob)
        assert all(math.isfinite(value) for value in token.signals.values())
    for event in answer.events:
        assert not any(isinstance(value, float) and math.isnan(value) for value in event.detail.values())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), sampling=chains(), seed=st.integers(-(2**63), 2**64 - 1))
def test_every_answer_ends_for_a_reason_and_is_all_numbers(
    kind: str, engine: Engine, data: Any, sampling: SamplingParams, seed: int
) -> None:
    strategy = data.draw(parameters(kind))
    try:
        stream = engine.submit(ask((3, 1, 4, 1, 5), strategy, sampling, MAX_TOKENS, seed=seed))
    except RequestError:
        return  # before the first token
    assert_complete(collect(stream))
