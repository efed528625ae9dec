"""llama.cpp by the package xllamacpp; its file is written once, into the folder. Its cache is of float16."""

from importlib import import_module
from typing import Any

from benchmarks.peers.workers.gguf_file import written
from benchmarks.peers.workers.loop import Prompts, Task, Write, answer

xllamacpp: Any = import_module("xllamacpp")


def loaded(task: Task) -> Write:
    params = xllamacpp.CommonParams()
    params.model.path = str(written(task.folder, task.precision))
    params.n_parallel, params.n_ctx = task.rows, task.rows * task.context
    params.n_gpu_layers, params.verbosity = 0, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = task.threads
    server = xllamacpp.Server(params)

    def write(prompts: Prompts, tokens: int) -> list[list[int]]:
        asked = {"prompt": prompts, "n_predict": tokens, "temperature": 0, "ignore_eos": True}
        found = server.handle_completions({**asked, "cache_prompt": False})
        return [[int(number) for number in each["text"].split("t")[1:]] for each in found["choices"]]

    return write


answer(loaded)
