"""Ancestral sampling: every token drawn from the request's sampling chain."""

from typing import Literal

from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy


class Sample(Strategy):
    """Draws every token with the request's temperature, top_k, top_p and so on."""

    kind: Literal["sample"] = "sample"

    async def decode(self, sequence: Sequence) -> Sequence:
        while not sequence.finished:
            await sequence.several()
            sequence.commit()
        return sequence
