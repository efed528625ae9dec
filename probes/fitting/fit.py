"""Fitting: from labelled completions to calibrated probes, all positions, layers and families compared."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.errors import LabelsError
from probes.fitting.calibrate import calibrate
from probes.fitting.candidates import Candidate, Fitted, auroc, choose, fit_all, richer, single_layer
from probes.fitting.readings import Table
from probes.fitting.target import Target
from probes.judging.one_probe import thresholds
from probes.judging.results import SweepEntry, Threshold
from probes.probe import Probe

MIN_MISTAKES = 200
"""Mistakes of a kind in the fitting part below which it gets no probe of its own."""

Tables = Mapping[str, Table]


@dataclass(frozen=True)
class FittedProbe:
    """A calibrated probe, the candidate that it came from, and all that it was compared with."""

    probe: Probe
    target: Target
    candidate: Candidate
    sweep: tuple[SweepEntry, ...]
    thresholds: tuple[Threshold, ...]


def targets(parts: Mapping[str, Tables], min_mistakes: int = MIN_MISTAKES) -> list[Target]:
    """What can be fitted on these tables: any mistake, late and early; each frequent kind; the answer.

    Args:
        parts: `fit`, `validation` and `calibration`.

    Raises:
        LabelsError: in some part there are no right readings, or no wrong ones.
    """
    early = "The step that has just been begun will be wrong: the first mistake."
    found = [
        Target("step_error", "The step is wrong: the first mistake of the answer.", ("end",)),
        Target("step_error_early", early, ("name",)),
        Target(
            "answer_error",
            "The answer as a whole will be wrong; read before a word of it is written.",
            ("question",),
        ),
    ]
    for target in found:
        for part, tables in parts.items():
            labels = target.labels(tables[target.positions[0]])
            if not _has_both(labels):
                raise LabelsError(
                    f"{target.name}: {int(labels.sum())} of {len(labels)} readings of the {part} part are "
                    "wrong; there must be right and wrong ones, hundreds of each for a probe worth having"
                )
    counts = Counter(parts["fit"]["end"].kind.tolist())
    kinds = [kind for kind, count in sorted(counts.items()) if kind and count >= min_mistakes]
    if len(counts) > 2:  # a single kind is no other than any mistake
        for kind in kinds:
            meaning = f"The step is the answer's first mistake, of kind {kind}."
            target = Target(kind, meaning, ("name", "end"), kind)
            if all(
                _has_both(target.labels(tables[at])) for tables in parts.values() for at in target.positions
            ):
                found.insert(-1, target)
    return found


def fit_probe(
    target: Target,
    fitting: Tables,
    validation: Tables,
    calibration: Tables,
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
) -> FittedProbe:
    """Compare candidates at every position of a target and calibrate the one that wins.

    A first round tries every layer alone, a second one adds signals, pooling, several layers and a hidden
    layer to the best. At each position the simplest candidate within the interval of the best wins; among
    positions the earliest whose AUROC lies in the interval of the best.

    Args:
        fitting, validation, calibration: tables by position, of all layers.
        on_progress: called with the number of candidates that were just fitted.
    """
    layers = fitting[target.positions[0]].layers
    fitted: list[Fitted] = []
    winners: list[Fitted] = []
    for position in target.positions:
        first = fit_all(
            single_layer(position, layers, ("difference_of_means", "logistic")),
            target, fitting, validation, workers, on_progress,
        )  # fmt: skip
        best = max(first, key=auroc).candidate.layers[0]
        second = fit_all(richer(position, layers, best), target, fitting, validation, workers, on_progress)
        fitted += [*first, *second]
        winners.append(choose([*first, *second]))
    winner = _earliest(winners)
    candidate, weights = winner.candidate, winner.weights
    table = calibration[candidate.position]
    logits, labels = candidate.scores(weights, table), target.labels(table)
    probe = Probe(
        name=target.name,
        position=table.position,
        layers=candidate.layers,
        weight=weights.weight,
        bias=weights.bias,
        out_weight=weights.out_weight,
        out_bias=weights.out_bias,
        signals=candidate.signals,
        pooling=candidate.pooling,
        calibration=calibrate(logits, labels, table.group),
    )
    return FittedProbe(
        probe=probe,
        target=target,
        candidate=candidate,
        sweep=tuple(_entry(each, each is winner) for each in fitted),
        thresholds=thresholds((probe.calibration(logits), labels), {}),
    )


def candidates_per_position(layers: Sequence[int]) -> int:
    """How many candidates `fit_probe` fits at each position of a target."""
    return len(single_layer("", layers, ("", ""))) + len(richer("", layers, layers[-1]))


def _has_both(labels: NDArray[np.bool_]) -> bool:
    return bool(labels.any()) and not bool(labels.all())


def _earliest(winners: Sequence[Fitted]) -> Fitted:
    best = max(winners, key=auroc)
    floor = best.validation.metrics().auroc.low
    return max((each for each in winners if auroc(each) >= floor), key=lambda each: each.tokens_left)


def _entry(fitted: Fitted, chosen: bool) -> SweepEntry:
    candidate = fitted.candidate
    return SweepEntry(
        family=candidate.family + (", mean over the step" if candidate.pooling == "mean" else ""),
        layers=candidate.layers,
        position=candidate.position,
        signals=candidate.signals,
        auroc=fitted.validation.metrics().auroc,
        tokens_left=fitted.tokens_left,
        chosen=chosen,
    )
