"""The strategies there are: the imports below are the list, and all else follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from app.decoding.strategies.abstain import Abstain as Abstain
from app.decoding.strategies.adadec import AdaDec as AdaDec
from app.decoding.strategies.base import Strategy as Strategy
from app.decoding.strategies.base import kind_of
from app.decoding.strategies.beam import Beam as Beam
from app.decoding.strategies.confidence_voting import ConfidenceVoting as ConfidenceVoting
from app.decoding.strategies.eager import Eager as Eager
from app.decoding.strategies.early_answer import EarlyAnswer as EarlyAnswer
from app.decoding.strategies.entropix import Entropix as Entropix
from app.decoding.strategies.entropy_gated_branching import EntropyGatedBranching as EntropyGatedBranching
from app.decoding.strategies.entropy_stop import EntropyStop as EntropyStop
from app.decoding.strategies.entropy_temperature import EntropyTemperature as EntropyTemperature
from app.decoding.strategies.greedy import Greedy as Greedy
from app.decoding.strategies.oracle_retry import OracleRetry as OracleRetry
from app.decoding.strategies.probe_beam import ProbeBeam as ProbeBeam
from app.decoding.strategies.probe_best_of_n import ProbeBestOfN as ProbeBestOfN
from app.decoding.strategies.probe_voting import ProbeVoting as ProbeVoting
from app.decoding.strategies.random_retry import RandomRetry as RandomRetry
from app.decoding.strategies.retry_upon_regret import RetryUponRegret as RetryUponRegret
from app.decoding.strategies.sample import Sample as Sample
from app.decoding.strategies.self_consistency import SelfConsistency as SelfConsistency
from app.decoding.strategies.stochastic_backtracking import StochasticBacktracking as StochasticBacktracking

_ALL = [
    each
    for each in tuple(globals().values())
    if isinstance(each, type) and issubclass(each, Strategy) and each is not Strategy
]
_ASKED_FOR = tuple(each for each in _ALL if not each.told_the_truth)
_COMPARED = (*_ASKED_FOR, *(each for each in _ALL if each.told_the_truth))

if TYPE_CHECKING:
    RequestStrategy = Strategy
    ComparisonStrategy = Strategy
else:
    RequestStrategy = Annotated[reduce(or_, _ASKED_FOR), Field(discriminator="kind")]
    """What a request may ask for: one closed union, told apart by `kind`."""

    ComparisonStrategy = Annotated[reduce(or_, _COMPARED), Field(discriminator="kind")]
    """What a comparison on a problem set may ask for: also those that are told what is wrong."""


@dataclass(frozen=True)
class StrategyInfo:
    """A catalogue entry: `params_schema` is the JSON Schema of its parameters."""

    kind: str
    summary: str
    params_schema: Mapping[str, Any]


def _info(strategy: type[Strategy]) -> StrategyInfo:
    summary = (strategy.__doc__ or "").strip().splitlines()[0]
    return StrategyInfo(kind_of(strategy), summary, strategy.model_json_schema())


STRATEGIES: Mapping[str, StrategyInfo] = MappingProxyType({kind_of(each): _info(each) for each in _ASKED_FOR})
COMPARED: Mapping[str, StrategyInfo] = MappingProxyType({kind_of(each): _info(each) for each in _COMPARED})
