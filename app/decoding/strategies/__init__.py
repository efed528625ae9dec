"""The strategies there are: one closed, explicit union, told apart by `kind`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.decoding.strategies.base import Strategy
from app.decoding.strategies.greedy import GreedyParams
from app.decoding.strategies.sample import SampleParams

StrategyParams = Annotated[GreedyParams | SampleParams, Field(discriminator="kind")]


@dataclass(frozen=True)
class StrategyInfo:
    """A catalogue entry: `params_schema` is the JSON Schema of the parameter model."""

    kind: str
    summary: str
    params_schema: Mapping[str, Any]


def _info(params: type[BaseModel]) -> StrategyInfo:
    summary = (params.__doc__ or "").strip().splitlines()[0]
    return StrategyInfo(params.model_fields["kind"].default, summary, params.model_json_schema())


STRATEGIES: Mapping[str, StrategyInfo] = MappingProxyType(
    {info.kind: info for info in (_info(GreedyParams), _info(SampleParams))}
)

__all__ = [
    "STRATEGIES",
    "GreedyParams",
    "SampleParams",
    "Strategy",
    "StrategyInfo",
    "StrategyParams",
]
