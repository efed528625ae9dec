"""Completions of many prompts at once, without an engine: for evaluation and for labelling."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.language_model import Cache, LanguageModel, PrefillRow

_SHARE_GOING = 0.75
"""Rows that have ended are carried along until so few of the batch are left: slots side by side are read
without being copied, which costs less than some idle rows."""


def complete(
    model: LanguageModel[Cache],
    prompts: Sequence[Sequence[int]],
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int | None = None,
    stop: Sequence[int] = (),
) -> list[list[int]]:
    """The model's continuation of each prompt, up to and with an end token or to the end of the context.

    Args:
        prompts: token ids, each at least one and fewer than the context holds; all are run in one batch.
        temperature: 0 takes the likeliest token.
        seed: decides the draws, together with everything else in the batch.
        max_tokens: most tokens of a completion.
        stop: ids that end a completion as the end token does.
    """
    context = model.spec.context_length
    cache = model.new_cache(len(prompts), context)
    output = model.prefill(cache, [PrefillRow(slot, 0, tuple(ids)) for slot, ids in enumerate(prompts)])
    device = output.logits.device
    generator = torch.Generator(device).manual_seed(seed)
    limits = torch.full((len(prompts),), context, device=device)
    lengths = torch.tensor([len(ids) for ids in prompts], device=device)
    if max_tokens is not None:
        limits = torch.minimum(limits, lengths + max_tokens - 1)
    ending = torch.tensor([*stop, *model.spec.end_token_ids], dtype=torch.int64, device=device)
    written: list[list[int]] = [[] for _ in prompts]
    owners = list(range(len(prompts)))  # whose row each slot is
    is_going = torch.ones(len(prompts), dtype=torch.bool, device=device)
    read_ids, positions = torch.tensor([ids[-1] for ids in prompts], device=device), lengths - 1
    token_ids = _choose(output.logits, temperature, generator)
    while True:
        for owner, token_id, going in zip(owners, token_ids.tolist(), is_going.tolist(), strict=True):
            if going:
                written[owner].append(token_id)
        is_going &= (positions + 1 < limits) & torch.isin(token_ids, ending, invert=True)
        rows = is_going.nonzero().flatten()
        if not len(rows):
            return written
        if len(rows) <= _SHARE_GOING * len(owners):
            for slot, source in enumerate(rows.tolist()):
                if slot != source:
                    cache.copy(source, slot, 0, int(positions[source]) + 1)
            owners = [owners[row] for row in rows.tolist()]
            kept = (token_ids, read_ids, positions, limits, is_going)
            token_ids, read_ids, positions, limits, is_going = (each[rows] for each in kept)
        # A row that has ended is given its last token again and again.
        read_ids, positions = torch.where(is_going, token_ids, read_ids), positions + is_going
        output = model.step(cache, read_ids.tolist(), range(len(owners)), positions.tolist())
        token_ids = _choose(output.logits, temperature, generator)


def _choose(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0:
        return logits.argmax(dim=-1)
    probs = torch.softmax(logits / temperature, dim=-1)
    return torch.multinomial(probs, 1, generator=generator).squeeze(-1)
