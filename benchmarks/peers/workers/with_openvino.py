"""OpenVINO by optimum-intel's `generate`, greedy, on a static batch."""

from importlib import import_module
from typing import Any

from benchmarks.peers.workers.loop import Task, Write, answer
from benchmarks.peers.workers.static_batch import by_generate


def loaded(task: Task) -> Write:
    options = {"INFERENCE_NUM_THREADS": str(task.threads), "INFERENCE_PRECISION_HINT": "f32"}
    kind: Any = import_module("optimum.intel").OVModelForCausalLM
    return by_generate(kind.from_pretrained(task.folder, export=True, ov_config=options, compile=True))


answer(loaded)
