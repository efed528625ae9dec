"""How good a probe is on the test part: its metrics beside baselines and controls, domain by domain."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from probes.arrays import Bools, Floats, Ints
from probes.judging.baselines import Scorer
from probes.judging.results import DomainResult, RivalResult
from probes.metrics.curves import curves
from probes.metrics.resampling import ResampledMetrics, resample


def judge_by_domain(
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

        def measured(scored: Floats, rows: Bools = rows) -> ResampledMetrics:
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


def _comparison(scorer: Scorer, probe: ResampledMetrics, other: ResampledMetrics) -> RivalResult:
    return RivalResult(
        name=scorer.name,
        kind=scorer.kind,
        metrics=other.metrics(),
        auroc_gain=probe.minus(other, "auroc"),
        recall_gain=probe.minus(other, "recall_at_5"),
    )
