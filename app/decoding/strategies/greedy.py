"""Greedy decoding: the likeliest token after penalties and logit bias, of equals the lowest id."""

from dataclasses import replace
from typing import Literal

from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy


class Greedy(Strategy):
    """Always the likeliest token, whatever the request's temperature."""

    kind: Literal["greedy"] = "greedy"

    async def decode(self, sequence: Sequence) -> Sequence:
        likeliest = replace(sequence.sampling, temperature=0.0)
        while not sequence.finished:
            await sequence.several(likeliest)
            sequence.commit()
        return sequence
