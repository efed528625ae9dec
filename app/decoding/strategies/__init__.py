"""The strategies there are: one closed, explicit union, told apart by `kind`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.decoding.strategies.abstain import AbstainParams
from app.decoding.strategies.adadec import AdaDecParams
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.beam import BeamParams
from app.decoding.strategies.confidence_voting import ConfidenceVotingParams
from app.decoding.strategies.eager import EagerParams
from app.decoding.strategies.early_answer import EarlyAnswerParams
from app.decoding.strategies.entropix import EntropixParams
from app.decoding.strategies.entropy_gated_branching import EntropyGatedBranchingParams
from app.decoding.strategies.entropy_stop import EntropyStopParams
from app.decoding.strategies.entropy_temperature import EntropyTemperatureParams
from app.decoding.strategies.greedy import GreedyParams
from app.decoding.strategies.oracle_retry import OracleRetryParams
from app.decoding.strategies.probe_beam import ProbeBeamParams
from app.decoding.strategies.probe_best_of_n import ProbeBestOfNParams
from app.decoding.strategies.probe_voting import ProbeVotingParams
from app.decoding.strategies.random_retry import RandomRetryParams
from app.decoding.strategies.retry_upon_regret import RetryUponRegretParams
from app.decoding.strategies.sample import SampleParams
from app.decoding.strategies.self_consistency import SelfConsistencyParams
from app.decoding.strategies.stochastic_backtracking import StochasticBacktrackingParams

StrategyParams = Annotated[
    AbstainParams
    | AdaDecParams
    | BeamParams
    | ConfidenceVotingParams
    | EagerParams
    | EarlyAnswerParams
    | EntropixParams
    | EntropyGatedBranchingParams
    | EntropyStopParams
    | EntropyTemperatureParams
    | GreedyParams
    | ProbeBeamParams
    | ProbeBestOfNParams
    | ProbeVotingParams
    | RandomRetryParams
    | RetryUponRegretParams
    | SampleParams
    | SelfConsistencyParams
    | StochasticBacktrackingParams,
    Field(discriminator="kind"),
]
"""What a request may ask for."""

ComparisonParams = Annotated[StrategyParams | OracleRetryParams, Field(discriminator="kind")]
"""What a comparison on a problem set may ask for: also those that are told what is wrong."""


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
    {
        info.kind: info
        for info in (
            _info(AbstainParams),
            _info(AdaDecParams),
            _info(BeamParams),
            _info(ConfidenceVotingParams),
            _info(EagerParams),
            _info(EarlyAnswerParams),
            _info(EntropixParams),
            _info(EntropyGatedBranchingParams),
            _info(EntropyStopParams),
            _info(EntropyTemperatureParams),
            _info(GreedyParams),
            _info(ProbeBeamParams),
            _info(ProbeBestOfNParams),
            _info(ProbeVotingParams),
            _info(RandomRetryParams),
            _info(RetryUponRegretParams),
            _info(SampleParams),
            _info(SelfConsistencyParams),
            _info(StochasticBacktrackingParams),
        )
    }
)

__all__ = [
    "STRATEGIES",
    "AbstainParams",
    "AdaDecParams",
    "BeamParams",
    "ComparisonParams",
    "ConfidenceVotingParams",
    "EagerParams",
    "EarlyAnswerParams",
    "EntropixParams",
    "EntropyGatedBranchingParams",
    "EntropyStopParams",
    "EntropyTemperatureParams",
    "GreedyParams",
    "OracleRetryParams",
    "ProbeBeamParams",
    "ProbeBestOfNParams",
    "ProbeVotingParams",
    "RandomRetryParams",
    "RetryUponRegretParams",
    "SampleParams",
    "SelfConsistencyParams",
    "StochasticBacktrackingParams",
    "Strategy",
    "StrategyInfo",
    "StrategyParams",
]
