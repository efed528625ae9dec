"""vLLM's build for processors, eager: what it compiles is for a static server."""

from importlib import import_module
from typing import Any

from benchmarks.peers.workers.loop import Prompts, Task, Write, answer

vllm: Any = import_module("vllm")


def loaded(task: Task) -> Write:
    model = vllm.LLM(
        str(task.folder),
        dtype=task.precision,
        enforce_eager=True,
        max_num_seqs=task.rows,
        max_model_len=task.context,
        enable_prefix_caching=False,
    )

    def write(prompts: Prompts, tokens: int) -> list[list[int]]:
        asked = vllm.SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True)
        found = model.generate([{"prompt_token_ids": ids} for ids in prompts], asked, use_tqdm=False)
        return [list(each.outputs[0].token_ids) for each in found]

    return write


if __name__ == "__main__":  # vLLM starts a process of its own, which imports this file
    answer(loaded)
