"""How good a probe is on the test part: its metrics beside baselines and controls, domain by domain."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from probes.fitting.labels import Labelled
from probes.judging.baselines import Scorer
from probes.judging.metrics import Resampled, curves, rates_at, resample, threshold_at
from probes.judging.results import (
    BaseRate,
    Comparison,
    DomainResult,
    MeasuredRates,
    Threshold,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

FALSE_ALARM_RATES = (0.01, 0.05, 0.10)


def judge(
    scores: Floats,
    labels: Bools,
    groups: Ints,
    domains: NDArray[np.str_],
    scorers: Sequence[Scorer],
    resamples: int = 1000,
    workers: int = 1,
) -> tuple[DomainResult, ...]:
    """A probe on each domain of the test part, beside what else scored the same rows.

    Args:
        scores: (n,) calibrated probabilities. labels, groups, domains: (n,).
        scorers: each with (n,) scores.
    """
    results: list[DomainResult] = []
    for domain in sorted(set(domains.tolist())):
        rows = domains == domain

        def measured(scored: Floats, rows: Bools = rows) -> Resampled:
            return resample(scored[rows], labels[rows], groups[rows], resamples=resamples)

        with ThreadPoolExecutor(workers) as pool:
            probe, *others = pool.map(measured, [scores, *(scorer.scores for scorer in scorers)])
        results.append(
            DomainResult(
                domain=domain,
                rows=int(rows.sum()),
                positives=int(labels[rows].sum()),
                problems=len(np.unique(groups[rows])),
                metrics=probe.metrics(),
                comparisons=tuple(
                    _comparison(scorer, probe, other) for scorer, other in zip(scorers, others, strict=True)
                ),
                curves=curves(scores[rows], labels[rows]),
            )
        )
    return tuple(results)


def thresholds(
    calibration: tuple[Floats, Bools], tested: dict[str, tuple[Floats, Bools]]
) -> tuple[Threshold, ...]:
    """Thresholds at the usual false alarm rates, chosen on the calibration part, and what they do elsewhere.

    Args:
        calibration: scores and labels. tested: the same by name of the rows.
    """
    chosen: list[Threshold] = []
    for rate in FALSE_ALARM_RATES:
        threshold = threshold_at(*calibration, rate)
        measured = [
            MeasuredRates(rows=name, false_alarm_rate=alarms, recall=recall)
            for name, (scores, labels) in {"calibration": calibration, **tested}.items()
            for alarms, recall in [rates_at(scores, labels, threshold)]
        ]
        chosen.append(Threshold(asked=rate, threshold=threshold, measured=tuple(measured)))
    return tuple(chosen)


def base_rates(labels: Sequence[Labelled]) -> tuple[BaseRate, ...]:
    """How often each kind of first mistake happens, by domain, op and temperature; rows are completions."""
    keys = {(each.domain, each.tags.get("op"), each.tags.get("temperature", np.nan)) for each in labels}
    rates: list[BaseRate] = []
    for domain, op, temperature in sorted(keys, key=str):
        found = [
            each
            for each in labels
            if (each.domain, each.tags.get("op"), each.tags.get("temperature", np.nan))
            == (domain, op, temperature)
        ]
        for kind in sorted({span.kind for each in found for span in each.wrong}):
            rates.append(
                BaseRate(
                    domain=domain,
                    op=None if op is None else int(op),
                    temperature=temperature,
                    kind=kind,
                    rows=len(found),
                    positives=sum(any(span.kind == kind for span in each.wrong) for each in found),
                )
            )
    return tuple(rates)


def _comparison(scorer: Scorer, probe: Resampled, other: Resampled) -> Comparison:
    return Comparison(
        name=scorer.name,
        kind=scorer.kind,
        metrics=other.metrics(),
        auroc_gain=probe.minus(other, "auroc"),
        recall_gain=probe.minus(other, "recall_at_5"),
    )
