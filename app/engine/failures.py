"""What went wrong, as the errors that requests end with."""

from app.decoding.core.types import Token
from app.decoding.strategies.base import Runnable
from app.errors import DemurError, ModelFailureError, StrategyError


def broken_logits(reply: Token | tuple[Token, ...]) -> ModelFailureError | None:
    """The error that tokens are answered with which were read from logits that are not numbers."""
    for token in (reply,) if isinstance(reply, Token) else reply:
        if token.logprob != token.logprob or token.adjusted != token.adjusted:
            return ModelFailureError("The model failed: the logits are not all numbers.")
    return None


def model_failure(error: Exception) -> DemurError:
    """What a forward pass or a draw raised, as an error of ours."""
    if isinstance(error, DemurError):
        return error
    failure = ModelFailureError(f"The model failed: {worded(error)}")
    failure.__cause__ = error
    return failure


def strategy_failure(strategy: Runnable, error: Exception) -> DemurError:
    """What a strategy raised, as an error of ours."""
    if isinstance(error, DemurError):
        return error
    name = type(strategy).__name__
    failure = StrategyError(f"The strategy {name} raised {worded(error)}")
    failure.__cause__ = error
    return failure


def engine_failure(fault: BaseException) -> DemurError:
    """What the engine itself raised, as an error of ours."""
    failure = DemurError(f"The engine failed: {worded(fault)}")
    failure.__cause__ = fault
    return failure


def worded(error: BaseException) -> str:
    """The error's type and message; an error may be unable to say what it means."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
