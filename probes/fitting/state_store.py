"""Where hidden states go that were read: into memory, or, of large models, into files.

Files hold float16 and are mapped, so that only what a fit looks at is in memory. They can be made again from
labels and model; a run that was killed goes on where it was, and one that reads the same tokens of the same
texts reads nothing anew.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.files import read_json, write_json
from probes.arrays import Floats
from probes.inputs import FEATURES

PLAN_FILE, DONE_FILE = "plan.json", "done.json"
LARGEST = float(np.finfo(np.float16).max)
"""Few models have larger states, and those at few places; they are cut there."""

_NOTE_EVERY = 8

States = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Plan:
    """What is to be read.

    texts: hash of the tokens. rows: by name of position, hash of the tokens that are read and of the steps
    that they belong to. counts: rows by name of position. What is right or wrong changes none of this.
    """

    texts: str
    rows: Mapping[str, str]
    layers: tuple[int, ...]
    counts: Mapping[str, int]
    d_model: int


@dataclass(frozen=True)
class StateArrays:
    """Room for what is read, by name of position.

    Attributes:
        layers: of both kinds of states, `(n, layers, d)`, as in `probes.fitting.readings.Table`.
        signals: (n, S).
        done: completions whose rows are there already.
        note, finish: to be called with the number of completions whose rows are there now; `finish` at the
            end.
    """

    layers: tuple[int, ...]
    hidden: Mapping[str, States]
    pooled: Mapping[str, States]
    signals: Mapping[str, NDArray[np.float32]]
    done: int
    note: Callable[[int], None]
    finish: Callable[[int], None]

    def put(self, name: str, row: int, hidden: States, pooled: States, signals: Floats) -> None:
        """One reading: (layers, d) twice, and (S,)."""
        self.signals[name][row] = signals
        for array, states in ((self.hidden[name], hidden), (self.pooled[name], pooled)):
            half = array.dtype == np.float16
            array[row] = np.clip(states, -LARGEST, LARGEST) if half else states


def in_memory(plan: Plan) -> StateArrays:
    """Room in memory, in float32."""
    shapes = {name: (count, len(plan.layers), plan.d_model) for name, count in plan.counts.items()}
    return StateArrays(
        layers=plan.layers,
        hidden={name: np.zeros(shape, np.float32) for name, shape in shapes.items()},
        pooled={name: np.zeros(shape, np.float32) for name, shape in shapes.items()},
        signals={name: np.zeros((count, len(FEATURES)), np.float32) for name, count in plan.counts.items()},
        done=0,
        note=lambda _: None,
        finish=lambda _: None,
    )


@dataclass(frozen=True)
class StateStore:
    """A folder of states. model: names the one they are of: its weights, its config, and its precision."""

    folder: Path
    model: str

    def open(self, plan: Plan, completions: int) -> StateArrays:
        """Room in files: those that are there, if they are of this plan or hold more than it asks for."""
        for there in sorted(self.folder.glob(f"*/{PLAN_FILE}")):
            known = read_json(there)
            if self._holds(known, plan) and _done(there.parent) == completions:
                return _mapped(there.parent, plan, tuple(known["layers"]), completions)
        name = hashlib.sha256(json.dumps(self._written(plan)).encode()).hexdigest()[:16]
        folder = self.folder / name
        if not (folder / PLAN_FILE).exists():
            shutil.rmtree(folder, ignore_errors=True)  # a kill left it half made
            folder.mkdir(parents=True)
            for number, name in enumerate(plan.rows):
                _make(folder, number, plan, plan.counts[name])
            write_json(folder / PLAN_FILE, self._written(plan))
        return _mapped(folder, plan, plan.layers, _done(folder))

    def _written(self, plan: Plan) -> dict[str, Any]:
        return {
            "model": self.model,
            "texts": plan.texts,
            "layers": list(plan.layers),
            "rows": dict(plan.rows),
        }

    def _holds(self, known: Mapping[str, Any], plan: Plan) -> bool:
        wanted = self._written(plan)
        return (
            all(known.get(name) == wanted[name] for name in ("model", "texts"))
            and set(wanted["layers"]) <= set(known["layers"])
            and plan.rows.items() <= known["rows"].items()
        )


def _done(folder: Path) -> int:
    path = folder / DONE_FILE
    return int(read_json(path)["completions"]) if path.exists() else 0


def _shapes(plan: Plan, count: int, layers: int) -> dict[str, tuple[tuple[int, ...], DTypeLike]]:
    # Layer by layer: a fit looks at one after the other.
    states = (layers, count, plan.d_model)
    return {
        "hidden": (states, np.float16),
        "pooled": (states, np.float16),
        "signals": ((count, len(FEATURES)), np.float32),
    }


def _make(folder: Path, number: int, plan: Plan, count: int) -> None:
    for kind, (shape, dtype) in _shapes(plan, count, len(plan.layers)).items():
        if count:  # there is no mapping of nothing
            np.lib.format.open_memmap(folder / f"{number}-{kind}.npy", "w+", dtype, shape)


def _mapped(folder: Path, plan: Plan, layers: tuple[int, ...], done: int) -> StateArrays:
    names = [*read_json(folder / PLAN_FILE)["rows"]]

    def mapped(name: str, kind: str) -> NDArray[Any]:
        if not plan.counts[name]:
            shape, dtype = _shapes(plan, 0, len(layers))[kind]
            return np.zeros(shape, dtype)
        return np.load(folder / f"{names.index(name)}-{kind}.npy", mmap_mode="r+")

    def finish(completions: int) -> None:
        write_json(folder / DONE_FILE, {"completions": completions})

    def note(completions: int) -> None:
        if completions % _NOTE_EVERY == 0:
            finish(completions)

    return StateArrays(
        layers=layers,
        hidden={name: mapped(name, "hidden").transpose(1, 0, 2) for name in plan.rows},
        pooled={name: mapped(name, "pooled").transpose(1, 0, 2) for name in plan.rows},
        signals={name: mapped(name, "signals") for name in plan.rows},
        done=done,
        note=note,
        finish=finish,
    )
