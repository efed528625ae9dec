"""The planning probe: which of the tokens that may come next are needed for the answer (Ye et al. 2024,
"Physics of Language Models" 2.1, arXiv 2407.20311, section 4, where it is called nece(A)).

One linear unit per token, all read from the same hidden state, before a step of the answer is begun. The
paper's probe is told the quantity and computes on; this one must find the answer for all quantities ready in
a single state.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from probes.arrays import Bools, Floats, Ints
from probes.fitting.families import Weights
from probes.fitting.readings import Table
from probes.metrics.resampling import ResampledMetrics, resample

NAME = "necessary"
MEANING = "The answer needs the quantity that this token names, though not a word of it is computed yet."
PENALTY = 1e-3
"""Of the squared weights, beside the mean loss per pair."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of a reading and a token about which something is known: row and column of `Table.about`."""

    rows: Ints
    columns: Ints
    labels: Bools
    groups: Ints

    def scores(self, units: Floats) -> Floats:
        """(pairs,) of (n, tokens)."""
        return units[self.rows, self.columns]


def pairs(table: Table, first_only: bool = True) -> Pairs:
    """All pairs of a table of readings before a step.

    Args:
        first_only: of each completion only the reading before its first step: the end of the question.
    """
    known = table.about >= 0
    if first_only:
        known &= _first_of_group(table)[:, None]
    rows, columns = np.nonzero(known)
    return Pairs(rows, columns, table.about[rows, columns] == 1, table.group[rows])


def matched(found: Pairs, level: Floats, seed: int = 0) -> Ints:
    """Indices of as many needed as other pairs of each problem and level, so that neither the problem nor the
    level says anything.

    Args:
        level: (pairs,), such as how often the problem mentions the quantity.
    """
    order = np.random.default_rng(seed).permutation(len(level))
    strata: dict[tuple[int, float], tuple[list[int], list[int]]] = {}
    for index in order.tolist():
        stratum = strata.setdefault((int(found.groups[index]), float(level[index])), ([], []))
        stratum[int(found.labels[index])].append(index)
    kept = [
        index
        for others, needed in strata.values()
        for pair in zip(others, needed, strict=False)
        for index in pair
    ]
    return np.array(sorted(kept), dtype=np.int64)


def fit_units(hidden: NDArray[np.float32], found: Pairs, tokens: int) -> Weights:
    """A logistic regression per token, fitted together by L-BFGS.

    Args:
        hidden: (n, d). tokens: number of units.
    """
    center, scale = hidden.mean(axis=0), hidden.std(axis=0) + 1e-8
    x = torch.from_numpy((hidden - center) / scale)
    rows, columns = torch.from_numpy(found.rows), torch.from_numpy(found.columns)
    y = torch.from_numpy(found.labels).float()
    weight = torch.zeros(tokens, x.shape[1], requires_grad=True)
    bias = torch.zeros(tokens, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = F.linear(x, weight, bias)[rows, columns]
        value = F.binary_cross_entropy_with_logits(logits, y) + PENALTY * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    folded = weight.detach().double().numpy() / scale
    return Weights(folded, bias.detach().double().numpy() - folded @ center)


def units(weights: Weights, hidden: NDArray[np.float32]) -> Floats:
    """(n, tokens) logits."""
    return hidden @ weights.weight.T + weights.bias


@dataclass(frozen=True)
class FittedLayer:
    """The probe at one layer, and how it does on the validation part."""

    layer: int
    weights: Weights
    validation: ResampledMetrics


def fit_layers(table: Table, held_out: Table, layers: Sequence[int]) -> list[FittedLayer]:
    """The probe at each layer of the tables."""
    known, other = pairs(table), pairs(held_out)
    fitted: list[FittedLayer] = []
    for layer in layers:
        at = table.layers.index(layer)
        weights = fit_units(table.hidden[:, at], known, table.about.shape[1])
        scores = other.scores(units(weights, held_out.hidden[:, at]))
        fitted.append(
            FittedLayer(layer, weights, resample(scores, other.labels, other.groups, resamples=200))
        )
    return fitted


def _first_of_group(table: Table) -> Bools:
    """(n,) whether a reading is the first of its completion: its step comes after none but blank ones."""
    first = np.zeros(len(table), dtype=np.bool_)
    first[np.unique(table.group, return_index=True)[1]] = True
    return first
