"""Tokens that strategies put into their texts, each read as if it had been drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from app.decoding.core.commands import ForcedToken
from app.decoding.core.signals import Distribution
from app.decoding.core.types import Token
from app.engine.probing import Probing
from app.engine.readout import Reading, read_tokens
from probes.reader import ProbeReader


def read_forced(
    logits: Tensor,
    hidden: Mapping[int, Tensor],
    requests: Sequence[ForcedToken],
    readings: Sequence[Reading],
    reader: ProbeReader,
) -> list[Token]:
    """The token that each row puts there, with what its distribution says of it.

    Args:
        logits: (R, V) raw.
        hidden: (R, d) states by layer, those that the probes need; empty if no row wants one.
    """
    ids = [request.token_id for request in requests]
    distribution = Distribution(logits, torch.tensor(ids, device=logits.device))
    tokens = read_tokens(distribution, readings, ids, Probing(reader, hidden, requests))
    return [replace(token, forced=True) for token in tokens]
