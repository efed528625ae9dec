"""Training batches: whole documents packed into rows of fixed length, almost without padding.

A batch is a pure function of (corpus, seed, step), so a resumed run sees exactly the data that it would have
seen, whatever the number of workers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from models.errors import SpecError

Document = tuple[Sequence[int], Sequence[float]]
"""Token ids of a document, end token included, and what foretelling each of them weighs in the loss."""

_MISSES = 6
"""Documents that fit nowhere, and are dropped, before a batch counts as full."""


@dataclass(frozen=True)
class Batch:
    """Packed rows, each array (rows, length).

    Attributes:
        token_ids: int64; padding is 0 with weight 0.
        targets: int64, the next token of the same document.
        positions: int64, counted within each document.
        documents: int64, a number per document within its row; padding has one of its own.
        weights: float32, weight of each target in the loss.
    """

    token_ids: NDArray[np.int64]
    targets: NDArray[np.int64]
    positions: NDArray[np.int64]
    documents: NDArray[np.int64]
    weights: NDArray[np.float32]

    @property
    def tokens(self) -> int:
        """Tokens that are not padding: those that predict or are predicted."""
        return int((self.documents > 0).sum())


def pack(draw: Callable[[Random], Document], random: Random, rows: int, length: int) -> Batch:
    """Draw documents and place each in the fullest row that still has room, until several fit nowhere.

    Args:
        draw: draws one document.
        random: source of all randomness.

    Raises:
        SpecError: a document is longer than a row.
    """
    token_ids = np.zeros((rows, length), dtype=np.int64)
    targets = np.zeros((rows, length), dtype=np.int64)
    positions = np.zeros((rows, length), dtype=np.int64)
    documents = np.zeros((rows, length), dtype=np.int64)
    weights = np.zeros((rows, length), dtype=np.float32)
    filled = [0] * rows
    misses = 0
    while misses < _MISSES:
        ids, its_weights = draw(random)
        size = len(ids)
        if size > length:
            raise SpecError(f"a document has {size} tokens; raise row_length, which is {length}")
        row = max(
            (row for row in range(rows) if filled[row] + size <= length), key=filled.__getitem__, default=None
        )
        if row is None:
            misses += 1
            continue
        start, end = filled[row], filled[row] + size
        token_ids[row, start:end] = ids
        targets[row, start : end - 1] = ids[1:]
        positions[row, start:end] = np.arange(size)
        documents[row, start:end] = documents[row].max() + 1
        weights[row, start : end - 1] = its_weights[1:]
        filled[row] = end
    return Batch(token_ids, targets, positions, documents, weights)
