"""What went wrong, as the errors that requests end with."""

from app.decoding.strategies.base import Strategy
from app.decoding.types import Token
from app.errors import DemurError, ModelFailureError, StrategyError


def is_not_a_number(reply: Token | tuple[Token, ...]) -> bool:
    """Whether it came from logits that are not numbers."""
    tokens = (reply,) if isinstance(reply, Token) else reply
    return any(token.logprob != token.logprob or token.adjusted != token.adjusted for token in tokens)


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
