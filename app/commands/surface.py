"""How far the surface of a corpus's problems gives away what is needed: measured, and as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.corpora.abilities import require
from models.corpora.corpus import Corpus
from models.corpora.drawing import problems
from models.corpora.splits import Split
from models.corpora.surface import BASELINES, SurfaceRow, baseline_scores, surface_rows
from probes.metrics.resampling import measure

_POPULATIONS: dict[str, Callable[[SurfaceRow], bool]] = {
    "every one": lambda _: True,
    "mentioned": lambda row: row.mentions > 0,
    "inner": lambda row: row.inner,
}
_ONLY_INNER = "and words of its users"
_RESAMPLES = 300


@dataclass(frozen=True)
class SurfaceResult:
    """AUROC of a baseline for `needed`, with its 95% interval by problem, over `quantities` quantities."""

    population: str
    baseline: str
    quantities: int
    auroc: float
    low: float
    high: float


def measure_surface(corpus: Corpus, count: int, seed: int, sizes: range) -> list[SurfaceResult]:
    """Fit each baseline on `count` problems of the training split, and test it on as many of the test split.

    Raises:
        SpecError: the corpus has no graphs, or there is no problem of a size.
    """
    fitted_on, tested = (_rows(corpus, split, count, seed, sizes) for split in ("train", "test"))
    results: list[SurfaceResult] = []
    for population, belongs in _POPULATIONS.items():
        before, rows = ([row for row in each if belongs(row)] for each in (fitted_on, tested))
        needed, problem = np.array([row.needed for row in rows]), np.array([row.problem for row in rows])
        for baseline in BASELINES:
            if baseline == _ONLY_INNER and population != "inner":
                continue  # that the question, and no quantity, uses one tells of itself that it is needed
            scores = baseline_scores(baseline, before, rows)
            auroc = measure(scores, needed, problem, resamples=_RESAMPLES, seed=seed).auroc
            results.append(SurfaceResult(population, baseline, len(rows), auroc.value, auroc.low, auroc.high))
    return results


def show_surface(results: Sequence[SurfaceResult], title: str) -> None:
    """Print a table with one row per baseline and one column per population."""
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("needed or not, by")
    for population in _POPULATIONS:
        count = next(each.quantities for each in results if each.population == population)
        table.add_column(f"{population}\n{count} quantities", justify="right", no_wrap=True)
    cells = {(each.baseline, each.population): each for each in results}
    for baseline in BASELINES:
        found = (cells.get((baseline, population)) for population in _POPULATIONS)
        table.add_row(
            baseline,
            *(f"{each.auroc:.3f} ({each.low:.3f}-{each.high:.3f})" if each else "" for each in found),
        )
    Console(highlight=False).print(table)


def _rows(corpus: Corpus, split: Split, count: int, seed: int, sizes: range) -> list[SurfaceRow]:
    graph = require(corpus, "graph").graph
    drawn = islice(problems(corpus, split, seed, sizes), count)
    return surface_rows([graph(problem.prompt) for problem in drawn])
