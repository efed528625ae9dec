"""Pausing at a token in doubt: its candidates, and what would follow each of them."""

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Items
from dataclasses import replace

from app.decoding.calibration.calibration import SignalCalibration, refuse_uncalibrated
from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.strategies.parts.branches import fork_each

DOUBTFUL_PERCENT = 98
"""The quantile of the calibrated entropy above which a token is in doubt, where a request does not say: a
trained model is sure of nearly all of its tokens, and hesitates at about one in fifty."""


def doubtful_entropy(calibration: SignalCalibration | None, given: float | None, kind: str) -> float:
    """The entropy, in nats, above which a token is in doubt: `given`, or else the calibrated one.

    Raises:
        ParameterError: there is neither.
    """
    if given is not None:
        return given
    if calibration is None:
        refuse_uncalibrated(kind, "threshold")
    return calibration.signal("entropy").quantile(DOUBTFUL_PERCENT)


def above(entropy: float) -> Callable[[Token], bool]:
    """Whether a token's entropy, in nats, is higher."""
    return lambda token: token.signals["entropy"] > entropy


async def draw_unless(
    sequence: Sequence, is_doubtful: Callable[[Token], bool], count: int
) -> tuple[Token, ...]:
    """Draw the next token by the request's own sampling, unless the signals at its position are in doubt.

    Then nothing is drawn, and the `count` likeliest candidates are returned; the strategy is to take one.
    `is_doubtful` sees a token's signals; it may use only those that do not depend on the token.
    At temperature 0 a doubt costs nothing, otherwise the token that was drawn before it was noticed.
    """
    [found] = await draw_each_unless([sequence], is_doubtful, count)
    return found


async def draw_each_unless(
    sequences: Items[Sequence], is_doubtful: Callable[[Token], bool], count: int
) -> list[tuple[Token, ...]]:
    """`draw_unless` for sequences of one choice, side by side; the trace is in their order."""
    results: list[tuple[Token, ...]] = [()] * len(sequences)
    if all(sequence.sampling.temperature == 0 for sequence in sequences):
        looks = await gather(*(sequence.candidates(count) for sequence in sequences))
        for index, (sequence, found) in enumerate(zip(sequences, looks, strict=True)):
            if is_doubtful(found[0]):
                results[index] = found
            else:
                sequence.take(found[0])
        return results
    drawn = await gather(*(sequence.next() for sequence in sequences))
    doubts = [index for index, token in enumerate(drawn) if is_doubtful(token)]
    for index in doubts:
        sequences[index].rewind(sequences[index].position - 1, "pause")
    looks = await gather(*(sequences[index].candidates(count) for index in doubts))
    for index, found in zip(doubts, looks, strict=True):
        results[index] = found
    return results


async def look_ahead(sequence: Sequence, candidates: Items[Token], tokens: int) -> list[Sequence]:
    """A fork for each candidate, with it and what follows it greedily, `tokens` tokens in all."""
    greedy = replace(sequence.sampling, temperature=0.0)
    branches = fork_each(sequence, candidates)
    await gather(*(branch.extend(max_tokens=tokens - 1, sampling=greedy) for branch in branches))
    return branches


def mean_logprob(tokens: Iterable[Token]) -> float:
    """Mean of the tokens' raw log-probabilities, in nats; those that were forced do not count. 0 of none."""
    values = [token.logprob for token in tokens if not token.forced]
    return sum(values) / len(values) if values else 0.0
