"""What the engine checks before it takes a request, so that every mistake is found before the first token."""

from collections.abc import Sequence
from difflib import get_close_matches

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.signals import PROBE_PREFIX
from app.decoding.strategies.base import Calibrated, Ranking, Runnable
from app.engine.drawing import require_biased_ids
from app.engine.reading import Reading
from app.engine.types import EngineLimits, GenerationRequest
from app.errors import ConflictError, ContextLengthError, ParameterError, UnknownNameError


def check_request(
    request: GenerationRequest,
    limits: EngineLimits,
    context_length: int,
    vocab_size: int,
    signals: Sequence[str],
) -> None:
    """Raise the `RequestError` that says what is wrong with the request, if anything is.

    signals: names of those that there are.
    """
    check_prompt(request.prompt_ids, vocab_size)
    check_readings(request.signals, request.top_logprobs, limits, signals)
    check_needs(request.strategy, signals)
    if request.score_prompt:
        check_no_probes(request.signals)
    length = len(request.prompt_ids)
    room = context_length - length
    if room < 0 or (room == 0 and request.stopping.max_tokens > 0):
        raise ContextLengthError(
            f"The prompt has {length} tokens; the context holds {context_length}, the completion included, "
            f"so a prompt may have {context_length - 1}. Shorten it.",
            param="prompt",
        )
    if not 1 <= request.n <= limits.max_choices:
        raise ParameterError(f"n is {request.n}; it must be between 1 and {limits.max_choices}.", param="n")
    if isinstance(request.strategy, Ranking) and request.n > request.strategy.texts:
        raise ParameterError(
            f"n is {request.n}, but a search of width {request.strategy.texts} ends with that many texts; "
            f"ask for n up to {request.strategy.texts}, or for a width of at least {request.n}.",
            param="n",
        )
    if not -(2**63) <= request.seed < 2**64:
        raise ParameterError(f"seed is {request.seed}; it must fit 64 bits.", param="seed")
    check_ids(request.stopping.stop_token_ids, vocab_size, "stop_token_ids")
    require_biased_ids(request.sampling, vocab_size)


def check_thresholds(strategy: Runnable, calibration: SignalCalibration | None) -> None:
    """Raise `ParameterError` if the strategy was given no thresholds and the calibration has none either."""
    if isinstance(strategy, Calibrated):
        strategy.thresholds(calibration)


def check_needs(strategy: Runnable, signals: Sequence[str]) -> None:
    """Raise `UnknownNameError` unless every signal that the strategy decides by exists."""
    for name in sorted(strategy.needs):
        if name not in signals:
            close = get_close_matches(name, signals, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UnknownNameError(
                f"There is no signal {name!r}, by which the strategy decides; there are "
                f"{', '.join(signals)}.{hint} Name one of these in the strategy's parameters, take another "
                "strategy, or serve the model with probes.",
                param="strategy",
            )


def check_prompt(token_ids: Sequence[int], vocab_size: int) -> None:
    """Raise `ParameterError` unless there is at least one id and all are in the vocabulary."""
    if not token_ids:
        raise ParameterError("The prompt is empty; it needs at least one token.", param="prompt")
    check_ids(token_ids, vocab_size, "prompt")


def check_texts(
    texts: Sequence[Sequence[int]],
    reading: Reading,
    limits: EngineLimits,
    context_length: int,
    vocab_size: int,
    signals: Sequence[str],
) -> None:
    """Raise the `RequestError` that says what is wrong with texts to be scored, if anything is.

    signals: names of those that there are.
    """
    check_readings(reading.signals, reading.top_logprobs, limits, signals)
    check_no_probes(reading.signals)
    for token_ids in texts:
        check_prompt(token_ids, vocab_size)
        if len(token_ids) > context_length:
            raise ContextLengthError(
                f"The text has {len(token_ids)} tokens; the context holds {context_length}. Shorten it.",
                param="prompt",
            )


def check_ids(token_ids: Sequence[int], vocab_size: int, param: str) -> None:
    """Raise `ParameterError` for the first id that is not in the vocabulary."""
    for token_id in token_ids:
        if not 0 <= token_id < vocab_size:
            raise ParameterError(
                f"{param} has token id {token_id}; the model's token ids are 0 to {vocab_size - 1}.",
                param=param,
            )


def check_readings(
    asked: Sequence[str], top_logprobs: int, limits: EngineLimits, signals: Sequence[str]
) -> None:
    """Raise unless every signal that is asked for exists and `top_logprobs` is within the limit."""
    for name in asked:
        if name not in signals:
            close = get_close_matches(name, signals, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UnknownNameError(
                f"There is no signal {name!r}; there are {', '.join(signals)}.{hint}", param="signals"
            )
    if not 0 <= top_logprobs <= limits.max_top_logprobs:
        raise ParameterError(
            f"top_logprobs is {top_logprobs}; it must be between 0 and {limits.max_top_logprobs}.",
            param="top_logprobs",
        )


def check_no_probes(signals: Sequence[str]) -> None:
    """Raise `ParameterError` for a probe where a given text is scored, an echoed prompt too."""
    for name in signals:
        if name.startswith(PROBE_PREFIX):
            raise ConflictError(
                f"signals has {name!r}, but probes are read while a completion is written, not on a given "
                "text. Ask for it with a completion, without echo, or leave it out.",
                param="signals",
            )
