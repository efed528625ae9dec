"""`generate` of transformers, greedy, on a static batch."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks.peers.workers.loop import Prompts, Task, Write, answer


def loaded(task: Task) -> Write:
    torch.set_num_threads(task.threads)
    dtype = getattr(torch, task.precision)
    network: Any = AutoModelForCausalLM.from_pretrained(task.folder, dtype=dtype).eval()

    @torch.inference_mode()
    def write(prompts: Prompts, tokens: int) -> list[list[int]]:
        ids = torch.tensor(prompts)
        mask = torch.ones_like(ids)
        lengths = {"max_new_tokens": tokens, "min_new_tokens": tokens}
        written = network.generate(ids, attention_mask=mask, do_sample=False, pad_token_id=0, **lengths)
        return written[:, ids.shape[1] :].tolist()

    return write


answer(loaded)
