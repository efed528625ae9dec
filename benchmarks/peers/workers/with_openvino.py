"""OpenVINO by optimum-intel's `generate`, greedy, on a static batch."""

from importlib import import_module
from typing import Any

import torch

from benchmarks.peers.workers.loop import Prompts, Task, Write, answer


def loaded(task: Task) -> Write:
    options = {"INFERENCE_NUM_THREADS": str(task.threads), "INFERENCE_PRECISION_HINT": "f32"}
    kind: Any = import_module("optimum.intel").OVModelForCausalLM
    network = kind.from_pretrained(task.folder, export=True, ov_config=options, compile=True)

    def write(prompts: Prompts, tokens: int) -> list[list[int]]:
        ids = torch.tensor(prompts)
        mask = torch.ones_like(ids)
        lengths = {"max_new_tokens": tokens, "min_new_tokens": tokens}
        written = network.generate(ids, attention_mask=mask, do_sample=False, pad_token_id=0, **lengths)
        return written[:, ids.shape[1] :].tolist()

    return write


answer(loaded)
