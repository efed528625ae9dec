"""What went wrong, as the errors that requests end with."""

from collections.abc import Iterable

from app.decoding.strategies.base import Strategy
from app.decoding.types import Token
from app.errors import DemurError, ModelFailureError, StrategyError


def broken_logits(tokens: Iterable[Token]) -> ModelFailureError | None:
    """The error that tokens are answered with which were read from logits that are not numbers."""
    if all(token.logprob == token.logprob for token in tokens):
        return None
    return ModelFailureError("The model failed: the logits are not all numbers.")


def model_failure(error: Exception) -> DemurError:
    """What a forward pass or a draw raised, as an error of ours."""
    if isinstance(error, DemurError):
        return error
    failure = ModelFailureError(f"The model failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def strategy_failure(strategy: Strategy, error: Exception) -> DemurError:
    """What a strategy raised, as an error of ours."""
    if isinstance(error, DemurError):
        return error
    name = type(strategy).__name__
    failure = StrategyError(f"The strategy {name} raised {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
