"""Greedy decoding: the likeliest token, every time."""

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel

from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import PARAMS_CONFIG


class Greedy:
    """Takes the likeliest token after penalties and logit bias; of equals, the lowest id."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        likeliest = replace(sequence.sampling, temperature=0.0)
        while not sequence.finished:
            await sequence.next(likeliest)
            sequence.commit()
        return sequence


class GreedyParams(BaseModel):
    """Always the likeliest token, whatever the request's temperature."""

    model_config = PARAMS_CONFIG

    kind: Literal["greedy"] = "greedy"

    def build(self) -> Greedy:
        return Greedy()
