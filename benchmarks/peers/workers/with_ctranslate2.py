"""ctranslate2's generator; its model is converted once, beside the folder."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.peers.workers.loop import Prompts, Task, Write, answer

ctranslate2: Any = import_module("ctranslate2")


def loaded(task: Task) -> Write:
    folder = _converted(task.folder)
    words = json.loads((folder / "vocabulary.json").read_text())
    generator = ctranslate2.Generator(
        str(folder), compute_type=task.precision, intra_threads=task.threads, inter_threads=1
    )

    def write(prompts: Prompts, tokens: int) -> list[list[int]]:
        found = generator.generate_batch(
            [[words[token_id] for token_id in ids] for ids in prompts],
            max_length=tokens,
            min_length=tokens,
            include_prompt_in_result=False,
            sampling_topk=1,
        )
        return [each.sequences_ids[0] for each in found]

    return write


def _converted(folder: Path) -> Path:
    target = folder / "ctranslate2"
    if not target.exists():
        converters = import_module("ctranslate2.converters")
        converters.TransformersConverter(str(folder)).convert(str(target))
        # It wants a name for each of these, also where a model has none and nobody asks for them.
        path = target / "config.json"
        config = json.loads(path.read_text())
        ends = {name: config["eos_token"] for name in ("bos_token", "unk_token") if not config[name]}
        path.write_text(json.dumps(config | ends))
    return target


answer(loaded)
