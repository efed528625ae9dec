"""What a probe has to beat: scores that cost nothing, and controls that ought to fail."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from probes.arrays import Bools, Floats
from probes.fitting.candidates import Candidate
from probes.fitting.families import Weights
from probes.fitting.readings import Table
from probes.inputs import FEATURES


@dataclass(frozen=True)
class Scorer:
    """Scores of a table's rows, higher = more likely positive, by something that is not the probe."""

    name: str
    kind: Literal["baseline", "control"]
    scores: Floats


def signal_baselines(table: Table) -> list[Scorer]:
    """Each signal by itself, at its worst over the tokens of the step so far; and the step's perplexity."""
    current_doubt = {
        "entropy": _column(table, "entropy"),
        "1 - max_probability": 1 - _column(table, "max_probability"),
        "1 - margin": 1 - _column(table, "margin"),
    }
    names = {"entropy": "entropy", "1 - max_probability": "max_probability", "1 - margin": "margin"}
    scorers = [
        Scorer(names[doubt], "baseline", np.maximum(now, _column(table, f"max {doubt}")))
        for doubt, now in current_doubt.items()
    ]
    # The perplexity is exp of the mean surprisal, so it puts rows in the same order.
    return [*scorers, Scorer("perplexity", "baseline", _column(table, "mean surprisal"))]


@dataclass(frozen=True)
class Rival:
    """A fitted scorer that is not the probe."""

    name: str
    kind: Literal["baseline", "control"]
    candidate: Candidate
    weights: Weights

    def scores(self, table: Table) -> Floats:
        """(n,) scores of a table's rows."""
        return self.candidate.scores(self.weights, table)


def signals_regression(table: Table, labels: Bools) -> Rival:
    """The fair rival: a logistic regression on all signals, the step's index and its length so far."""
    candidate = Candidate(table.position.name, "logistic", (), "logistic")
    return _fitted("signals_logistic", "baseline", candidate, table, labels)


def controls(candidate: Candidate, table: Table, labels: Bools, seed: int = 0) -> list[Rival]:
    """The same kind of probe where there is nothing to learn: shuffled labels, and layer 0."""
    shuffled = np.random.default_rng(seed).permutation(labels)
    rivals = [_fitted("shuffled_labels", "control", candidate, table, shuffled)]
    if candidate.layers:
        bottom = replace(candidate, layers=(0,), combiner="none")
        rivals.append(_fitted("layer_0", "control", bottom, table, labels))
    return rivals


def random_weights(candidate: Candidate, table: Table, labels: Bools) -> Rival:
    """The same kind of probe, without signals, on hidden states of a network that was never trained.

    Args:
        table: read with that network.
    """
    return _fitted("random_weights", "control", replace(candidate, combiner="none"), table, labels)


def _fitted(
    name: str, kind: Literal["baseline", "control"], candidate: Candidate, table: Table, labels: Bools
) -> Rival:
    return Rival(name, kind, candidate, candidate.fit(table, labels))


def noun_labels(table: Table, share: float) -> Bools:
    """(n,) a random label for each first token of a step, as often positive as asked."""
    tokens = sorted(set(table.first_token.tolist()))
    positive = {token: bool(np.random.default_rng((0, token)).random() < share) for token in tokens}
    return np.array([positive[token] for token in table.first_token.tolist()], dtype=np.bool_)


def control_task(candidate: Candidate, table: Table, share: float) -> Rival:
    """The same kind of probe, fitted on `noun_labels` and to be judged by them: what it can learn by heart
    about words, and not about the step (Hewitt and Liang 2019, arXiv 1909.03368)."""
    return _fitted("per_noun_labels", "control", candidate, table, noun_labels(table, share))


def _column(table: Table, name: str) -> Floats:
    return table.signals[:, FEATURES.index(name)].astype(np.float64)
