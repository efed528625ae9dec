"""The sweep for one target: candidates at all its positions compared, and the one that wins calibrated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probes.fitting.calibrate import calibrate
from probes.fitting.candidates import Candidate, FittedCandidate, auroc, choose, fit_all, richer, single_layer
from probes.fitting.target import Tables, Target
from probes.metrics.estimates import Estimate, Number, Result
from probes.metrics.thresholds import ThresholdResult, thresholds
from probes.probe import Probe


class SweepEntry(Result):
    """One candidate on the validation rows."""

    family: str
    layers: tuple[int, ...]
    position: str
    signals: bool  # whether entropies and their like are among its features
    auroc: Estimate
    tokens_left: Number  # mean number of tokens of the step that are still to come where it reads
    chosen: bool = False


@dataclass(frozen=True)
class FittedProbe:
    """A calibrated probe, the candidate that it came from, and all that it was compared with."""

    probe: Probe
    target: Target
    candidate: Candidate
    sweep: tuple[SweepEntry, ...]
    thresholds: tuple[ThresholdResult, ...]


def fit_probe(
    target: Target,
    fitting: Tables,
    validation: Tables,
    calibration: Tables,
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
    layers: Sequence[int] | None = None,
) -> FittedProbe:
    """Compare candidates at every position of a target and calibrate the one that wins.

    A first round tries every layer alone, a second one adds signals, pooling, several layers and a hidden
    layer to the best. At each position the simplest candidate within the interval of the best wins; among
    positions the earliest whose AUROC lies in the interval of the best.

    Args:
        fitting, validation, calibration: tables by position.
        layers: which are tried, of those that the tables have; by default all of them.
        on_progress: called with the number of candidates that were just fitted.
    """
    layers = fitting[target.positions[0]].layers if layers is None else layers
    fitted: list[FittedCandidate] = []
    winners: list[FittedCandidate] = []
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


def _earliest(winners: Sequence[FittedCandidate]) -> FittedCandidate:
    best = max(winners, key=auroc)
    floor = best.validation.metrics().auroc.low
    return max((each for each in winners if auroc(each) >= floor), key=lambda each: each.tokens_left)


def _entry(fitted: FittedCandidate, chosen: bool) -> SweepEntry:
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
