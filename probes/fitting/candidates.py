"""What a probe could be, and the choice among candidates on the validation part."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.arrays import Bools, Floats, Ints
from probes.fitting.families import FAMILIES, Weights
from probes.fitting.readings import Table
from probes.fitting.stacking import Combiner, fit_stacked, logits
from probes.fitting.target import Target
from probes.metrics.resampling import ResampledMetrics, resample
from probes.probe import Pooling

MAX_INPUTS = 2**28
"""Inputs of all rows together that are fitted on at most: 2 GiB in float64."""

RESAMPLES = 200
"""For choosing among candidates; what is reported is resampled more often."""


@dataclass(frozen=True)
class Candidate:
    """A position, what is read there, and how it is fitted."""

    position: str
    family: str
    layers: tuple[int, ...]
    combiner: Combiner = "none"
    pooling: Pooling = "none"

    @property
    def signals(self) -> bool:
        """Whether signals are among its inputs."""
        return self.combiner != "none"

    @property
    def complexity(self) -> tuple[int, int, int, int]:
        """Simplest first: simple families, few layers, hidden states of one token, no signals."""
        families = FAMILIES[self.family].complexity
        if self.combiner != "none":
            families = max(families, FAMILIES[self.combiner].complexity)
        return families, len(self.layers), int(self.pooling != "none"), int(self.signals)

    def hidden(self, table: Table) -> NDArray[np.float32]:
        """(n, F) hidden states of a table's rows, layer after layer."""
        source = table.pooled if self.pooling == "mean" else table.hidden
        columns = [source[:, table.layers.index(layer)] for layer in self.layers]
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(table), 0), np.float32)

    def inputs(self, table: Table) -> NDArray[np.float32]:
        """(n, F) all inputs of a table's rows, as a probe takes them."""
        return (
            np.concatenate((self.hidden(table), table.signals), axis=1)
            if self.signals
            else self.hidden(table)
        )

    def fit(self, table: Table, labels: Bools) -> Weights:
        """Fit on the rows of a table, or on some of them where all would not go into memory."""
        if len(table) * self.width(table) > MAX_INPUTS:
            rows = _some_rows(labels, MAX_INPUTS // self.width(table))
            table, labels = table.take(rows), labels[rows]
        return fit_stacked(
            self.family, self.combiner, self.hidden(table), table.signals, labels, table.own, table.group
        )

    def width(self, table: Table) -> int:
        """How many inputs a row has, signals counted too."""
        return len(self.layers) * table.hidden.shape[-1] + table.signals.shape[-1]

    def scores(self, weights: Weights, table: Table) -> Floats:
        """(n,) logits of a table's rows."""
        return logits(weights, self.inputs(table))


@dataclass(frozen=True)
class FittedCandidate:
    """A fitted candidate, and how it does on the validation part.

    tokens_left: mean number of tokens of the step still to come where it reads.
    """

    candidate: Candidate
    weights: Weights
    validation: ResampledMetrics
    tokens_left: float


def _some_rows(labels: Bools, count: int) -> Ints:
    """So many rows, in order: as many of the rarer label as there may be, up to half."""
    random = np.random.default_rng(0)
    kinds = [random.permutation(np.flatnonzero(labels == kind)) for kind in (True, False)]
    rarer, other = sorted(kinds, key=len)
    first = min(len(rarer), count // 2)
    return np.sort(np.concatenate((rarer[:first], other[: count - first])))


def single_layer(position: str, layers: Sequence[int], families: Sequence[str]) -> list[Candidate]:
    """The first round of a sweep: each layer alone."""
    return [Candidate(position, family, (layer,)) for layer in layers for family in families]


def richer(position: str, layers: Sequence[int], best: int) -> list[Candidate]:
    """The second round: the best layer pooled and with signals, all layers together, a hidden layer.

    Layer 0 knows nothing but the last token, so it is no part of `all layers`.
    """
    every = tuple(layer for layer in layers if layer > 0)
    return [
        Candidate(position, "logistic", (), "logistic"),
        Candidate(position, "logistic", (), "hidden_layer"),
        Candidate(position, "logistic", (best,), "hidden_layer"),
        Candidate(position, "logistic", (best,), pooling="mean"),
        Candidate(position, "logistic", (best,), "hidden_layer", "mean"),
        Candidate(position, "low_rank", every),
        Candidate(position, "low_rank", every, "hidden_layer", "mean"),
        Candidate(position, "logistic", every, "hidden_layer"),
        Candidate(position, "logistic", every, pooling="mean"),
        Candidate(position, "logistic", every, "hidden_layer", "mean"),
        Candidate(position, "hidden_layer", (best,)),
        Candidate(position, "hidden_layer", every, pooling="mean"),
        Candidate(position, "hidden_layer", every, "logistic", "mean"),
    ]


def fit_all(
    candidates: Sequence[Candidate],
    target: Target,
    tables: Mapping[str, Table],
    held_out: Mapping[str, Table],
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[FittedCandidate]:
    """Fit candidates on one part and measure them on another; tables by name of position."""

    def one(candidate: Candidate) -> FittedCandidate:
        table, other = tables[candidate.position], held_out[candidate.position]
        weights = candidate.fit(table, target.labels(table))
        scores = candidate.scores(weights, other)
        validation = resample(scores, target.labels(other), other.group, resamples=RESAMPLES)
        on_progress(1)
        return FittedCandidate(candidate, weights, validation, float(other.tokens_left.mean()))

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, candidates))


def choose(fitted: Sequence[FittedCandidate]) -> FittedCandidate:
    """The simplest candidate that is not worse, beyond the interval, than the best one at its position."""
    best = max(fitted, key=auroc)
    rivals = [each for each in fitted if each.candidate.position == best.candidate.position]
    able = [each for each in rivals if best.validation.minus(each.validation, "auroc").low <= 0]
    return min([best, *able], key=lambda each: (each.candidate.complexity, -auroc(each)))


def auroc(fitted: FittedCandidate) -> float:
    """AUROC on the validation part."""
    return fitted.validation.values["auroc"]
