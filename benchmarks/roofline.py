"""How near is a step of the native network to what this machine could do?

The roofline (Williams, Waterman, Patterson 2009): a step cannot be faster than its arithmetic at the rate of
a large product of matrices, nor than its memory, weights, keys and values, at the rate at which as many bytes
are read again and again. Both rates are measured here, on one thread; of the memory, once for each amount,
since small networks are read from a cache. The share of the roofline is the longer of the two times over the
step's own. int8 weights are held against the same rate of float32 products, though instructions for whole
numbers may go beyond it.

Times are the best of all turns, and those on the CPU, not on the clock, with --cpu-time.

    python benchmarks/roofline.py [CHECKPOINT] [--cpu-time] [--figure docs/images/roofline.svg]
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.settings import EMBEDDED_CHECKPOINT
from models.checkpoint import load, load_network
from models.gpt2 import GPT2Config
from models.hub.dtypes import Precision
from models.language_model import LanguageModel

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
SHARES = (1, 8, 32)
"""Batches whose share of the roofline is told."""
CONTEXT, CONTEXT_BATCH = 128, 8
"""Where the batch grows, and where the context does."""
SIDE = 768
"""Of the product that shows the rate of arithmetic."""
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
WEIGHT_BYTES = {"float32": 2, "int8": 1}
"""Of a weight in memory: a stored network's are bfloat16, which is exact."""
LEAST_SECONDS = 0.01
"""That are timed together."""

Clock = Callable[[], float]


@dataclass
class Point:
    """A step of some rows, each after `context` tokens. operations, bytes: that it takes."""

    precision: Precision
    batch: int
    context: int
    operations: float
    bytes: float
    seconds: float = field(default=float("inf"))

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.bytes

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds

    @property
    def tokens(self) -> float:
        """A second."""
        return self.batch / self.seconds


@dataclass(frozen=True)
class Machine:
    """operations: a second. bandwidth: rising amounts of memory, in bytes, to bytes read a second."""

    operations: float
    bandwidth: dict[int, float]

    def bandwidth_of(self, size: float) -> float:
        """Between those of the amounts that were measured."""
        sizes = np.log(list(self.bandwidth))
        return float(np.interp(np.log(size), sizes, list(self.bandwidth.values())))

    def least_seconds(self, point: Point) -> float:
        """The roof over a point."""
        return max(point.operations / self.operations, point.bytes / self.bandwidth_of(point.bytes))

    def share(self, point: Point) -> float:
        """Of the roofline."""
        return self.least_seconds(point) / point.seconds


def point_of(config: GPT2Config, weights: int, precision: Precision, batch: int, context: int) -> Point:
    """A step's arithmetic and memory. weights: numbers of all matrices that are multiplied."""
    held = config.n_layers * context * config.d_model
    return Point(
        precision,
        batch,
        context,
        operations=batch * (2 * weights + 4 * held),
        bytes=weights * WEIGHT_BYTES[precision] + batch * 2 * 4 * held,
    )


def points_of(config: GPT2Config, weights: int) -> list[Point]:
    """All that are measured."""
    contexts = range(64, config.context_length + 1, 64)
    places = [(batch, min(CONTEXT, config.context_length)) for batch in BATCHES]
    places += [(CONTEXT_BATCH, context) for context in contexts if context != CONTEXT]
    return [point_of(config, weights, each, *place) for place in places for each in PRECISIONS]


def best(work: Callable[[], object], clock: Clock, turns: int) -> float:
    """Seconds of one call."""
    work()
    calls, found = 1, float("inf")
    for _ in range(turns):
        began = clock()
        for _ in range(calls):
            work()
        elapsed = clock() - began
        found = min(found, elapsed / calls)
        calls = max(1, int(LEAST_SECONDS / max(found, 1e-6)))
    return found


def machine_of(points: Sequence[Point], clock: Clock, turns: int) -> Machine:
    """The rates of this machine, of as much memory as the points need."""
    matrix = torch.randn(SIDE, SIDE)
    seconds = best(lambda: matrix @ matrix, clock, turns)
    largest = max(each.bytes for each in points)
    bandwidth: dict[int, float] = {}
    size = 1 << 20
    while size < 2 * largest:
        numbers, weights = torch.ones(size // 4), torch.ones(1024)
        rows = numbers.view(-1, 1024)
        # Neither of these reads fastest everywhere.
        reading: tuple[Callable[[], object], ...] = (numbers.sum, partial(torch.mv, rows, weights))
        bandwidth[size] = size / min(best(each, clock, turns) for each in reading)
        size *= 2
    return Machine(2 * SIDE**3 / seconds, bandwidth)


def time_points(
    models: dict[Precision, LanguageModel[Any]], points: Sequence[Point], clock: Clock, turns: int
) -> None:
    """Fill in the times, in turns."""
    for _ in track(range(turns), "steps", console=Console(stderr=True)):
        for point in points:
            model = models[point.precision]
            cache = model.new_cache(point.batch, point.context)
            ids, rows = [7] * point.batch, list(range(point.batch))
            at = [point.context - 1] * point.batch

            def work(
                model: Any = model, cache: Any = cache, ids: Any = ids, rows: Any = rows, at: Any = at
            ) -> None:
                model.step(cache, ids, rows, at)

            point.seconds = min(point.seconds, best(work, clock, 2))


def table_of(points: Sequence[Point], machine: Machine) -> Table:
    """Every point, and its share."""
    table = Table(title=f"{machine.operations / 1e9:.0f} Gflop/s in a large product of float32")
    for column in (
        "weights",
        "batch",
        "context",
        "MB",
        "GB/s at most",
        "ms",
        "tokens/s",
        "share of the roofline",
    ):
        table.add_column(column, justify="right")
    for point in sorted(points, key=lambda each: (each.precision, each.context, each.batch)):
        bandwidth = machine.bandwidth_of(point.bytes)
        table.add_row(
            point.precision,
            str(point.batch),
            str(point.context),
            f"{point.bytes / 1e6:.1f}",
            f"{bandwidth / 1e9:.0f}",
            f"{1000 * point.seconds:.2f}",
            f"{point.tokens:,.0f}",
            f"{machine.share(point):.0%}",
        )
    return table


def draw(points: Sequence[Point], machine: Machine, file: Path, name: str) -> None:
    """The figure: points under the roof by batch, and tokens a second by batch and by context."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "demur"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for precision, colour in zip(PRECISIONS, ("#1f6fb4", "#c2570c"), strict=True):
        own = [each for each in points if each.precision == precision]
        growing = sorted((each for each in own if each.context == CONTEXT), key=lambda each: each.batch)
        longer = sorted((each for each in own if each.batch == CONTEXT_BATCH), key=lambda each: each.context)
        roof, batches, contexts = axes
        roof.plot(
            [each.intensity for each in growing],
            [each.rate / 1e9 for each in growing],
            "o-",
            color=colour,
            label=precision,
        )
        roof.plot(
            [each.intensity for each in growing],
            [each.operations / machine.least_seconds(each) / 1e9 for each in growing],
            "--",
            color=colour,
            label=f"roofline, {precision}",
        )
        for each in growing:
            if each.batch in SHARES:
                roof.annotate(
                    f"{each.batch}: {machine.share(each):.0%}",
                    (each.intensity, each.rate / 1e9),
                    textcoords="offset points",
                    xytext=(4, 6 if precision == "int8" else -12),
                    fontsize=8,
                    color=colour,
                )
        for axis, line, across in ((batches, growing, "batch"), (contexts, longer, "context")):
            places = [getattr(each, across) for each in line]
            axis.plot(places, [each.tokens for each in line], "o-", color=colour, label=precision)
            bound = [each.batch / machine.least_seconds(each) for each in line]
            axis.plot(places, bound, "--", color=colour, label=f"roofline, {precision}")
    labels = (
        ("operations a byte", "Gflop/s", f"batch 1 to 128, context {CONTEXT}"),
        ("batch", "tokens a second", f"context {CONTEXT}"),
        ("context", "tokens a second", f"batch {CONTEXT_BATCH}"),
    )
    for axis, (across, up, title) in zip(axes, labels, strict=True):
        axis.set(xlabel=across, ylabel=up, title=title, yscale="log")
        axis.grid(visible=True, which="both", alpha=0.2)
        axis.yaxis.set_major_formatter("{x:,g}")
        axis.yaxis.set_minor_formatter("{x:,g}")
    for axis in axes[:2]:
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter("{x:g}")
    axes[0].legend(fontsize=8)
    figure.suptitle(f"{name}: a step of the native network under the roofline of one thread")
    figure.savefig(file, metadata={"Date": None})


def main(
    checkpoint: Annotated[Path, typer.Argument(help="One of our own checkpoints.")] = EMBEDDED_CHECKPOINT,
    turns: Annotated[int, typer.Option(help="Times that each point is measured.")] = 5,
    cpu_time: Annotated[
        bool, typer.Option("--cpu-time", help="Count time on the CPU, not on the clock.")
    ] = False,
    figure: Annotated[Path | None, typer.Option(help="Where to draw it, as SVG.")] = None,
) -> None:
    """Print every point's share of the roofline."""
    torch.set_num_threads(1)
    clock = time.process_time if cpu_time else time.perf_counter
    network, _ = load_network(checkpoint)
    weights = sum(
        each.numel()
        for name, each in network.named_parameters()
        if each.dim() == 2 and "position" not in name
    )
    models: dict[Precision, LanguageModel[Any]] = {
        each: load(checkpoint, kernel="native", precision=each).model for each in PRECISIONS
    }
    points = points_of(network.config, weights)
    with torch.inference_mode():
        machine = machine_of(points, clock, turns)
    time_points(models, points, clock, turns)
    Console().print(table_of(points, machine))
    if figure:
        draw(points, machine, figure, checkpoint.name)


if __name__ == "__main__":
    typer.run(main)
