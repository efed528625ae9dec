"""Linear probes of what a network will need: fitted by layer, chosen by held-out problems, then judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from app.findings.balanced import balanced_accuracy, best_threshold
from app.findings.branching import BranchStates, States, read_branches
from app.findings.planning_cases import Case
from models.corpora.surface import BASELINES, baseline_scores, surface_rows
from models.gpt2 import GPT2
from probes.arrays import Bools, Floats, Ints
from probes.fitting.necessary import Pairs, fit_units, units

ONE_STATE, NAMED = "one state", "name appended"
READINGS = (ONE_STATE, NAMED)
"""A unit for every quantity, all on the state at the end of the text; or one unit for all of them, on the
state at the name's own token."""


@dataclass(frozen=True)
class Asked:
    """The quantities of all cases in a row: case and token of each, and what is to be told."""

    cases: Ints
    tokens: Ints
    labels: Bools
    distances: Ints

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "Asked":
        rows = [(number, each) for number, case in enumerate(cases) for each in case.asked]
        return cls(
            np.array([number for number, _ in rows], dtype=np.int64),
            np.array([each.token for _, each in rows], dtype=np.int64),
            np.array([each.label for _, each in rows], dtype=np.bool_),
            np.array([-1 if each.distance is None else each.distance for _, each in rows], dtype=np.int64),
        )


@dataclass(frozen=True)
class Parts:
    """Cases for fitting, for choosing among what was fitted, and for judging it."""

    fit: Sequence[Case]
    held_out: Sequence[Case]
    test: Sequence[Case]


@dataclass(frozen=True)
class Said:
    """What a probe or baseline answers on the test part: yes where its score reaches the threshold.

    chosen_by: its balanced accuracy on the held-out part, where the threshold was chosen too.
    """

    test: Bools
    chosen_by: float


def probes_of(network: GPT2, parts: Parts) -> Mapping[tuple[str, int], Said]:
    """By reading and layer."""
    asked = [Asked.of(cases) for cases in (parts.fit, parts.held_out, parts.test)]
    states = [
        read_branches(network, [case.branches for case in cases])
        for cases in (parts.fit, parts.held_out, parts.test)
    ]
    names = np.unique(np.concatenate([each.tokens for each in asked]))
    said: dict[tuple[str, int], Said] = {}
    with threadpool_limits(1):
        for reading in READINGS:
            for layer in range(network.config.n_layers + 1):
                hidden = [_hidden(each, reading, layer) for each in states]
                pairs = [_pairs(each, reading, names) for each in asked]
                weights = fit_units(hidden[0], pairs[0], len(names) if reading == ONE_STATE else 1)
                held_out, test = (
                    pairs[part].scores(units(weights, hidden[part])).astype(np.float64) for part in (1, 2)
                )
                said[reading, layer] = _said(held_out, asked[1].labels, test)
    return said


def baselines_of(parts: Parts) -> Mapping[str, Said]:
    """What the surface gives, by name of the baseline. The cases must be those of `needed_cases`."""
    fit, held_out, test = (
        [row for row in surface_rows([case.graph for case in cases]) if row.inner]
        for cases in (parts.fit, parts.held_out, parts.test)
    )
    labels = np.array([row.needed for row in held_out], dtype=np.bool_)
    with threadpool_limits(1):
        return {
            name: _said(baseline_scores(name, fit, held_out), labels, baseline_scores(name, fit, test))
            for name in BASELINES
        }


def _hidden(states: BranchStates, reading: str, layer: int) -> States:
    return (states.ends if reading == ONE_STATE else states.tokens)[:, layer]


def _pairs(asked: Asked, reading: str, names: Ints) -> Pairs:
    """names: ascending, the tokens that have a unit each."""
    count = len(asked.labels)
    if reading == ONE_STATE:
        return Pairs(asked.cases, np.searchsorted(names, asked.tokens), asked.labels, asked.cases)
    return Pairs(np.arange(count), np.zeros(count, dtype=np.int64), asked.labels, asked.cases)


def _said(held_out: Floats, labels: Bools, test: Floats) -> Said:
    threshold = best_threshold(held_out, labels)
    return Said(test >= threshold, balanced_accuracy(held_out >= threshold, labels))
