"""The likeliest next tokens of a batch, each read as if it had been drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from torch import Tensor

from app.decoding.core.commands import Candidates
from app.decoding.core.signals import Distribution
from app.decoding.core.types import Token
from app.decoding.sampling.chain import SamplingChain
from app.engine.probing import Probing
from app.engine.readout import Reading, read_tokens
from probes.reader import ProbeReader


def read_candidates(
    logits: Tensor,
    hidden: Mapping[int, Tensor],
    requests: Sequence[Candidates],
    readings: Sequence[Reading],
    reader: ProbeReader,
) -> list[tuple[Token, ...]]:
    """As many tokens as each row asks for, likeliest first; of equals, the lowest id. Fewer where the others
    have probability 0.

    Args:
        logits: (R, V) raw.
        hidden: (R, d) states by layer, those that the probes need; empty if no row wants one.
    """
    count = min(max(request.count for request in requests), logits.shape[-1])
    after = _adjusted(logits, requests)
    ids, values = likeliest(after, count)
    adjusted = (values - after.logsumexp(dim=-1, keepdim=True)).tolist()
    every = [row for row in range(len(requests)) for _ in range(count)]
    probing = Probing(
        reader,
        {layer: states.repeat_interleave(count, dim=0) for layer, states in hidden.items()},
        [requests[row] for row in every],
    )
    chosen = ids.flatten()
    distribution = Distribution(logits.repeat_interleave(count, dim=0), chosen)
    tokens = read_tokens(distribution, [readings[row] for row in every], chosen.tolist(), probing)
    return [
        tuple(
            replace(token, adjusted=value)
            for token, value in zip(tokens[row * count :][:count], adjusted[row], strict=True)
            # What is no number is passed on, for the caller to notice.
            if value != -inf
        )[: request.count]
        for row, request in enumerate(requests)
    ]


def _adjusted(logits: Tensor, requests: Sequence[Candidates]) -> Tensor:
    """Logits (R, V) after each row's penalties and bias."""
    chain = SamplingChain([request.sampling for request in requests], logits.device)
    sequences = [requests[row].sequence for row in chain.penalised]
    histories = [sequence.spec.history(sequence.context.ids) for sequence in sequences]
    return chain.adjust(logits, histories)


def likeliest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Ids and logits (R, count) of the highest logits, in order."""
    values, ids = logits.topk(count, dim=-1)
    if count == 1:
        # topk promises no order among equals.
        return logits.argmax(dim=-1, keepdim=True), values
    by_id = ids.argsort(dim=-1)
    ids, values = ids.gather(-1, by_id), values.gather(-1, by_id)
    order = values.argsort(dim=-1, descending=True, stable=True)
    return ids.gather(-1, order), values.gather(-1, order)
