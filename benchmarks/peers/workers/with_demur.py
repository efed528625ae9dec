"""demur's engine with entropy, varentropy and all probes of the model on, or, as `plain`, with none."""

from typing import cast

import torch

from app.engine.engine import Engine
from app.engine.types import EngineLimits, TokenOut
from app.settings import load_settings
from benchmarks.hub_throughput import greedy
from benchmarks.peers.networks import OURS
from benchmarks.peers.workers.loop import Prompts, Task, Write, answer
from models.checkpoint import load
from models.hub.dtypes import Precision
from probes.store import load_all


def loaded(task: Task) -> Write:
    """The precision may end with `-plain`."""
    precision, _, plain = task.precision.partition("-")
    torch.set_num_threads(task.threads)
    ours = task.folder / OURS
    folder = ours.resolve() if ours.exists() else task.folder
    checkpoint = load(folder, "cpu", cast(Precision, precision))
    stored = None if plain else load_settings({"checkpoint": folder}).probes_folder
    probes = [each.probe for each in load_all(stored, checkpoint)] if stored else []
    signals = () if plain else ("entropy", "varentropy", *(f"probe:{each.name}" for each in probes))
    engine = Engine(checkpoint, EngineLimits(max_rows=task.rows, max_context=task.context), probes)
    engine.start()

    def write(prompts: Prompts, tokens: int) -> list[list[int]]:
        streams = engine.submit_all(greedy(prompts, tokens, signals))
        return [[item.token.id for item in stream if isinstance(item, TokenOut)] for stream in streams]

    return write


answer(loaded)
