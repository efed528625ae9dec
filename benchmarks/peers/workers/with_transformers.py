"""`generate` of transformers, greedy, on a static batch."""

import torch
from transformers import AutoModelForCausalLM

from benchmarks.peers.workers.loop import Task, Write, answer
from benchmarks.peers.workers.static_batch import by_generate


def loaded(task: Task) -> Write:
    torch.set_num_threads(task.threads)
    dtype = getattr(torch, task.precision)
    return by_generate(AutoModelForCausalLM.from_pretrained(task.folder, dtype=dtype).eval())


answer(loaded)
