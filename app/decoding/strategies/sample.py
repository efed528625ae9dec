"""Ancestral sampling: every token drawn from the request's sampling chain."""

from typing import Literal

from pydantic import BaseModel

from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import PARAMS_CONFIG


class Sample:
    """Draws each token from the model's distribution after the request's sampling chain."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        while not sequence.finished:
            await sequence.next()
            sequence.commit()
        return sequence


class SampleParams(BaseModel):
    """Draws every token with the request's temperature, top_k, top_p and so on."""

    model_config = PARAMS_CONFIG

    kind: Literal["sample"] = "sample"

    def build(self) -> Sample:
        return Sample()
