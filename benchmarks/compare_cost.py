"""What does comparing eight strategies together cost, against running the eight one after the other?

Both ways solve the same problems with the same seeds through the same engine, and keep every outcome in a
folder. One after the other is eight comparisons of one arm each. They are interleaved, in turn first one way
and first the other, so that a machine that gets slower or faster does not favour either. What is timed is the
run alone: loading the model, and drawing the problems, which eight comparisons do eight times,
are left out. Besides wall time there is the processor's time, which other programs on the machine disturb
less, and what the engine did.

    python benchmarks/compare_cost.py --problems 64 --repeats 3
"""

import json
import statistics
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

from app.compare.folder import RunFolder
from app.compare.outcome import Outcome
from app.compare.runner import Comparison
from app.compare.served_model import LentModels, ServedModel
from app.compare.spec import ComparisonSpec, parse_spec
from app.decoding.calibration.calibration import read_calibration
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from app.settings import EMBEDDED_CHECKPOINT, load_settings
from models.checkpoint import LoadedCheckpoint, load
from probes.store import load_all

Arms = Literal["plain", "mixed"]

PLAIN: list[dict[str, Any]] = [
    {"name": "greedy", "strategy": {"kind": "greedy"}},
    {"name": "warm", "strategy": {"kind": "sample"}, "temperature": 0.7},
    {"name": "top_p", "strategy": {"kind": "sample"}, "top_p": 0.9},
    {"name": "min_p", "strategy": {"kind": "sample"}, "min_p": 0.1},
    {"name": "entropy_temperature", "strategy": {"kind": "entropy_temperature"}},
    {"name": "retry", "strategy": {"kind": "retry_upon_regret"}},
    {"name": "random_retry", "strategy": {"kind": "random_retry"}},
    {"name": "oracle", "strategy": {"kind": "oracle_retry"}},
]
"""One text at a time each."""
MIXED: list[dict[str, Any]] = [
    *(arm for arm in PLAIN if arm["name"] in ("greedy", "warm", "retry", "oracle")),
    {"name": "beam", "strategy": {"kind": "beam", "width": 4}},
    {"name": "voting", "strategy": {"kind": "self_consistency", "samples": 4}},
    {"name": "best_of", "strategy": {"kind": "probe_best_of_n", "samples": 4}},
    {"name": "adadec", "strategy": {"kind": "adadec"}},
]
"""Half of them write several texts side by side."""


@dataclass(frozen=True)
class Cost:
    """Seconds, and what the engine did meanwhile.

    batch: mean rows of a forward pass that drew tokens. shared: share of them that were computed for another.
    """

    wall_s: float
    cpu_s: float
    passes: int
    prefill_tokens: int
    drawn_tokens: int
    batch: float
    shared: float


class Bench:
    """The served checkpoint with its probes, and what a comparison on it costs."""

    def __init__(self, checkpoint: LoadedCheckpoint, rows: int) -> None:
        folder = load_settings({"checkpoint": checkpoint.path}).probes_folder
        probes = [stored.probe for stored in load_all(folder, checkpoint)]
        calibration = read_calibration(checkpoint.path, checkpoint.identity)
        self.engine = Engine(checkpoint, EngineLimits(max_rows=rows), probes, calibration)
        self._models = LentModels.only(ServedModel(self.engine, checkpoint))

    def run(self, specs: list[ComparisonSpec]) -> tuple[Cost, list[Outcome]]:
        """Run comparisons one after the other, and say what they cost in all."""
        ready = [Comparison(self._models, spec) for spec in specs]
        outcomes: list[Outcome] = []
        with _folders(ready) as folders:
            before, wall, cpu = self.engine.stats(), time.perf_counter(), time.process_time()
            for comparison, folder in zip(ready, folders, strict=True):
                comparison.run(folder)
                outcomes += folder.outcomes
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        after = self.engine.stats()
        drawn, passes = after.drawn_tokens - before.drawn_tokens, after.forward_passes - before.forward_passes
        shared = (after.shared_rows - before.shared_rows) / drawn
        prefilled = after.prefill_tokens - before.prefill_tokens
        cost = Cost(wall, cpu, passes, prefilled, drawn, drawn / passes, shared)
        return cost, outcomes


@contextmanager
def _folders(comparisons: list[Comparison]) -> Generator[list[RunFolder]]:
    with tempfile.TemporaryDirectory() as root:
        folders = [each.folder(Path(root) / str(number)) for number, each in enumerate(comparisons)]
        yield folders
        for folder in folders:
            folder.close()


def _lasting(outcomes: list[Outcome]) -> dict[tuple[str, str], Any]:
    return {each.key: each.model_dump(exclude={"latency_s", "cached_tokens"}) for each in outcomes}


def measure(
    checkpoint: Annotated[Path, typer.Option(help="A checkpoint of the igsm corpus.")] = EMBEDDED_CHECKPOINT,
    arms: Annotated[Arms, typer.Option(help="plain: one text at a time each; mixed: half branch.")] = "plain",
    problems: Annotated[int, typer.Option(help="Problems of op 1 to 6.")] = 64,
    repeats: Annotated[int, typer.Option(help="Pairs of measurements.")] = 3,
    rows: Annotated[int, typer.Option(help="Rows of the engine.")] = 32,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
) -> None:
    """Print both costs, the ratio of every pair, and the median ratio, as JSON lines."""
    torch.set_num_threads(threads)
    chosen = PLAIN if arms == "plain" else MIXED
    base = {"problems": {"source": "corpus", "ops": [1, 6], "count": problems}, "latency_problems": 0}
    together = [parse_spec(base | {"arms": chosen})]
    apart = [parse_spec(base | {"arms": [arm]}) for arm in chosen]
    ratios: list[tuple[float, float]] = []
    bench = Bench(load(checkpoint), rows)
    with bench.engine:
        bench.run([parse_spec(base | {"arms": chosen[:1]})])  # warm up
        for number in range(repeats):
            order = [("together", together), ("apart", apart)]
            found = {name: bench.run(specs) for name, specs in (order if number % 2 == 0 else order[::-1])}
            (ours, one), (theirs, other) = found["together"], found["apart"]
            assert _lasting(one) == _lasting(other), "both ways compute the same"
            ratios.append((ours.wall_s / theirs.wall_s, ours.cpu_s / theirs.cpu_s))
            line = {"together": asdict(ours), "apart": asdict(theirs)}
            line |= {"wall_ratio": ratios[-1][0], "cpu_ratio": ratios[-1][1]}
            typer.echo(json.dumps(line))
    wall, cpu = (statistics.median(each) for each in zip(*ratios, strict=True))
    typer.echo(json.dumps({"arms": arms, "problems": problems, "wall_ratio": wall, "cpu_ratio": cpu}))


if __name__ == "__main__":
    typer.run(measure)
