"""DRY, "don't repeat yourself": a penalty on what would go on with a repetition, growing with its length.

By p-e-w, text-generation-webui #5677; breakers as in llama.cpp. A token that would continue a repetition
of n tokens, n at least `allowed_length`, loses multiplier * base ^ (n - allowed_length).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from app.decoding.sampling.declaration import HistoryStep, sampler
from app.decoding.sampling.history import History
from app.decoding.sampling.penalties import subtract
from app.decoding.sampling.ranges import Range
from app.decoding.sampling.setting import number, strings
from app.errors import ParameterError
from app.invalid import Listed

_MAX_BREAKERS = 64

# Far beyond what any other token could lack, and finite, so that something can always be drawn.
_MOST = 1e30


def dry_penalties(
    ids: Sequence[int],
    vocabulary: Sequence[bytes],
    *,
    multiplier: float,
    base: float,
    allowed_length: int,
    last_n: int,
    breakers: Sequence[str],
) -> dict[int, float]:
    """What each next token loses, by id.

    Args:
        ids: prompt and completion.
        vocabulary: the bytes of every id. Without them nothing breaks a sequence.
        last_n: how many of the last ids are looked at; -1 is all.
        breakers: a repetition begins after the last of these in the text, and a token with one in it
            loses nothing.
    """
    window = ids if last_n < 0 else ids[max(0, len(ids) - last_n) :]
    broken = [breaker.encode() for breaker in breakers] if vocabulary else []
    longest = _unbroken(window, vocabulary, broken)
    if longest < allowed_length:
        return {}
    repeated: dict[int, int] = {}
    for end, length in enumerate(_suffix_matches(window)[:-1]):
        if length >= allowed_length:
            following = window[end + 1]
            repeated[following] = max(repeated.get(following, 0), min(length, longest))
    return {
        token_id: _penalty(multiplier, base, length - allowed_length)
        for token_id, length in repeated.items()
        if not any(breaker in vocabulary[token_id] for breaker in broken)
    }


def _unbroken(ids: Sequence[int], vocabulary: Sequence[bytes], breakers: Sequence[bytes]) -> int:
    """How many ids stand after the last token in which a breaker ends; one may span several tokens."""
    if not breakers:
        return len(ids)
    text = b"".join(vocabulary[token_id] for token_id in ids)
    ends = [start + len(breaker) for breaker in breakers if (start := text.rfind(breaker)) >= 0]
    if not ends:
        return len(ids)
    left = len(text) - max(ends)
    for count, token_id in enumerate(reversed(ids)):
        left -= len(vocabulary[token_id])
        if left < 0:
            return count
    return len(ids)


def _suffix_matches(ids: Sequence[int]) -> list[int]:
    """For each place, how many tokens up to and with it are also the last tokens of `ids`.

    The Z-algorithm on the reversed ids, in linear time.
    """
    backwards = list(reversed(ids))
    total = len(backwards)
    matches = [0] * total
    left = right = 0
    for place in range(1, total):
        length = min(right - place, matches[place - left]) if place < right else 0
        while place + length < total and backwards[length] == backwards[place + length]:
            length += 1
        if place + length > right:
            left, right = place, place + length
        matches[place] = length
    return matches[::-1]


def _penalty(multiplier: float, base: float, exponent: int) -> float:
    try:
        return min(_MOST, multiplier * base**exponent)
    except OverflowError:
        return _MOST


def _penalise(logits: Tensor, params: Sequence["Dry"], histories: Sequence[History]) -> Tensor:
    penalties = [
        dry_penalties(
            history.ids,
            history.vocabulary,
            multiplier=each.dry_multiplier,
            base=each.dry_base,
            allowed_length=each.dry_allowed_length,
            last_n=each.dry_penalty_last_n,
            breakers=each.dry_sequence_breakers,
        )
        for each, history in zip(params, histories, strict=True)
    ]
    return subtract(logits, penalties)


def _require_breakers(params: "Dry") -> None:
    if "" in params.dry_sequence_breakers:
        raise ParameterError(
            "dry_sequence_breakers holds an empty string, which would break every sequence; remove it.",
            param="dry_sequence_breakers",
        )


@sampler("dry", HistoryStep(_penalise), place=30, source="text-generation-webui", check=_require_breakers)
@dataclass(frozen=True)
class Dry:
    """Lowers what would go on with a repetition, more the longer it is."""

    dry_multiplier: float = number(
        0.0,
        Range(0, 100, "0 turns it off"),
        "DRY: a token that would go on with a repetition of n tokens loses "
        "dry_multiplier * dry_base ^ (n - dry_allowed_length).",
        double=True,
    )
    dry_base: float = number(1.75, Range(1, 100, "how fast it grows"), "Of dry_multiplier.", double=True)
    dry_allowed_length: int = number(
        2, Range(1, 2**31 - 1, "shorter repetitions cost nothing"), "Of dry_multiplier."
    )
    dry_penalty_last_n: int = number(
        -1, Range(-1, 2**31 - 1, "tokens to look at; -1 is all"), "Of dry_multiplier."
    )
    dry_sequence_breakers: tuple[str, ...] = strings(
        ("\n", ":", '"', "*"),
        Listed[Annotated[str, Field(min_length=1, max_length=40)]],
        f"Of dry_multiplier: up to {_MAX_BREAKERS} strings over which no repetition reaches.",
        max_length=_MAX_BREAKERS,
    )
