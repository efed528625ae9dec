"""A network whose `generate` is that of transformers, on a static batch."""

from typing import Any

import torch

from benchmarks.peers.workers.loop import Prompts, Write


def by_generate(network: Any) -> Write:
    """Greedy, and past any end."""

    @torch.inference_mode()
    def write(prompts: Prompts, tokens: int) -> list[list[int]]:
        ids = torch.tensor(prompts)
        mask = torch.ones_like(ids)
        lengths = {"max_new_tokens": tokens, "min_new_tokens": tokens}
        written = network.generate(ids, attention_mask=mask, do_sample=False, pad_token_id=0, **lengths)
        return written[:, ids.shape[1] :].tolist()

    return write
