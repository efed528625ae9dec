"""Branches of a text: several that begin alike, or one for each of several next tokens."""

from collections.abc import Sequence as Items

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token


def start_samples(sequence: Sequence, count: int) -> list[Sequence]:
    """`count` texts to be written side by side; the first is the sequence itself."""
    return [sequence, *(sequence.fork(count - 1) if count > 1 else ())]


def fork_each(sequence: Sequence, candidates: Items[Token]) -> list[Sequence]:
    """A fork for each of at least one candidate, which goes on with it."""
    branches = sequence.fork(len(candidates))
    for branch, token in zip(branches, candidates, strict=True):
        branch.take(token)
    return branches
