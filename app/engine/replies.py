"""What the engine answers to the requests of a batch: a token, drawn or forced, or candidates for one."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from app.decoding.core.commands import Candidates, ForcedToken, NextToken, TokenCommand
from app.decoding.core.types import Token
from app.engine.candidates import read_candidates
from app.engine.forced import read_forced
from app.engine.readout import Reading
from app.engine.sampler import Sampler
from probes.reader import ProbeReader

Reply = Token | tuple[Token, ...] | Exception
Kind = TypeVar("Kind", NextToken, ForcedToken, Candidates)


class Replier:
    """Answers every row of a batch from its logits."""

    def __init__(self, reader: ProbeReader) -> None:
        self._reader = reader
        self._sampler = Sampler(reader)

    def reply(
        self,
        logits: Tensor,
        hidden: Mapping[int, Tensor],
        requests: Sequence[TokenCommand],
        readings: Sequence[Reading],
    ) -> list[Reply]:
        """A reply per row of logits (R, V): a token, candidates, or what a row's sampling policy raised.

        hidden: (R, d) states by layer, those that the probes need; empty if no row wants one.
        """
        drawing = _of_kind(NextToken, requests)
        if len(drawing) == len(requests):
            return list(self._sampler.draw(logits, hidden, list(drawing.values()), readings))
        replies: dict[int, Reply] = {}
        if drawing:
            part, states, read = _part(drawing, logits, hidden, readings)
            drawn = self._sampler.draw(part, states, list(drawing.values()), read)
            replies.update(zip(drawing, drawn, strict=True))
        if forcing := _of_kind(ForcedToken, requests):
            part, states, read = _part(forcing, logits, hidden, readings)
            forced = read_forced(part, states, list(forcing.values()), read, self._reader)
            replies.update(zip(forcing, forced, strict=True))
        if looking := _of_kind(Candidates, requests):
            part, states, read = _part(looking, logits, hidden, readings)
            found = read_candidates(part, states, list(looking.values()), read, self._reader)
            replies.update(zip(looking, found, strict=True))
        return [replies[row] for row in range(len(requests))]


def _of_kind(kind: type[Kind], requests: Sequence[TokenCommand]) -> dict[int, Kind]:
    return {row: each for row, each in enumerate(requests) if isinstance(each, kind)}


def _part(
    rows: Mapping[int, object], logits: Tensor, hidden: Mapping[int, Tensor], readings: Sequence[Reading]
) -> tuple[Tensor, Mapping[int, Tensor], list[Reading]]:
    index = torch.tensor(list(rows), device=logits.device)
    states = {layer: each[index] for layer, each in hidden.items()}
    return logits[index], states, [readings[row] for row in rows]
