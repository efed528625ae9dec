"""Completions of many prompts at once, without an engine: for evaluation and for labelling."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.language_model import Cache, LanguageModel, PrefillRow


def complete(
    model: LanguageModel[Cache],
    prompts: Sequence[Sequence[int]],
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int | None = None,
    stop: Sequence[int] = (),
) -> list[list[int]]:
    """The model's continuation of each prompt, up to and with its end token or to the end of the context.

    Args:
        prompts: token ids, each at least one and fewer than the context holds; all are run in one batch.
        temperature: 0 takes the likeliest token.
        seed: decides the draws, together with everything else in the batch.
        max_tokens: most tokens of a completion.
        stop: ids that end a completion as the end token does.
    """
    end, context = model.spec.end_token_id, model.spec.context_length
    cache = model.new_cache(len(prompts), context)
    output = model.prefill(cache, [PrefillRow(slot, 0, tuple(ids)) for slot, ids in enumerate(prompts)])
    device = output.logits.device
    generator = torch.Generator(device).manual_seed(seed)
    slots = torch.arange(len(prompts), device=device)
    positions = torch.tensor([len(ids) for ids in prompts], device=device)
    limits = torch.full_like(positions, context)
    if max_tokens is not None:
        limits = torch.minimum(limits, positions + max_tokens - 1)
    ending = torch.tensor([*stop, *([] if end is None else [end])], dtype=torch.int64, device=device)
    written: list[list[int]] = [[] for _ in prompts]
    token_ids = _choose(output.logits, temperature, generator)
    while True:
        # Rows that have ended leave the batch; `slots` says which prompt each remaining row belongs to.
        for slot, token_id in zip(slots.tolist(), token_ids.tolist(), strict=True):
            written[slot].append(token_id)
        going = positions < limits[slots]
        going &= torch.isin(token_ids, ending, invert=True)
        if not bool(going.any()):
            return written
        token_ids, slots, positions = token_ids[going], slots[going], positions[going]
        output = model.step(cache, token_ids, slots, positions)
        token_ids = _choose(output.logits, temperature, generator)
        positions = positions + 1


def _choose(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0:
        return logits.argmax(dim=-1)
    probs = torch.softmax(logits / temperature, dim=-1)
    return torch.multinomial(probs, 1, generator=generator).squeeze(-1)
