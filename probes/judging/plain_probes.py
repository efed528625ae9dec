"""How good plain probes are, those with one logit a reading, on the test part: in one pass over it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.language_model import LanguageModel
from models.tokenizer import Tokenizer
from probes.arrays import Bools, Floats, Ints
from probes.fitting.candidates import Candidate
from probes.fitting.labels import LabelledCompletion, sample
from probes.fitting.readings import Table, read
from probes.fitting.state_store import StateStore
from probes.fitting.sweep import SweepEntry
from probes.fitting.target import Target
from probes.judging.baselines import (
    Rival,
    Scorer,
    control_task,
    controls,
    noun_labels,
    random_weights,
    signal_baselines,
    signals_regression,
)
from probes.judging.domains import judge_by_domain
from probes.judging.results import DomainResult, ProbeResult, RivalResult
from probes.metrics.resampling import measure
from probes.metrics.thresholds import thresholds
from probes.probe import Probe

CHUNK = 2000
"""Test completions that are in memory at once."""

REFITTED = 8000
"""Completions of the fitting part that baselines and controls are fitted on."""

UNPAIRED, UNPAIRED_RESAMPLES = 4000, 200
"""Test completions, and resamples, for controls that cannot be paired with the probe."""

Aside = Mapping[str, RivalResult]
"""A control that is not paired with the probe, by domain."""


@dataclass(frozen=True)
class Subject:
    """A probe to be evaluated, and how it was made."""

    probe: Probe
    target: Target
    candidate: Candidate
    sweep: tuple[SweepEntry, ...] = ()


@dataclass
class _Scores:
    """What has been read of one subject so far, a piece per chunk."""

    probe: list[Floats] = field(default_factory=list[Floats])
    labels: list[Bools] = field(default_factory=list[Bools])
    groups: list[Ints] = field(default_factory=list[Ints])
    domains: list[NDArray[np.str_]] = field(default_factory=list[NDArray[np.str_]])
    scorers: dict[str, list[Scorer]] = field(default_factory=dict[str, list[Scorer]])

    def add(self, subject: Subject, rivals: Sequence[Rival], table: Table) -> None:
        """Score the rows of a chunk."""
        self.probe.append(subject.probe.scores(subject.candidate.inputs(table).astype(np.float64)))
        self.labels.append(subject.target.labels(table))
        self.groups.append(table.group)
        self.domains.append(table.domain)
        scored = [Scorer(rival.name, rival.kind, rival.scores(table)) for rival in rivals]
        for scorer in [*signal_baselines(table), *scored]:
            self.scorers.setdefault(scorer.name, []).append(scorer)

    def joined(self) -> list[Scorer]:
        """Each scorer over all chunks."""
        return [
            Scorer(name, pieces[0].kind, np.concatenate([piece.scores for piece in pieces]))
            for name, pieces in self.scorers.items()
        ]


def judge_plain(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    subjects: Sequence[Subject],
    fitting: Sequence[LabelledCompletion],
    calibration: Sequence[LabelledCompletion],
    test: Sequence[LabelledCompletion],
    untrained: LanguageModel[Any] | None = None,
    workers: int = 2,
    resamples: int = 1000,
    on_progress: Callable[[int], None] = lambda _: None,
    store: StateStore | None = None,
) -> tuple[ProbeResult, ...]:
    """Judge probes by the completions of the test part, beside baselines and controls on the same rows.

    Args:
        fitting, calibration, test: labelled completions of these parts.
        untrained: the same kind of network with random weights, for one of the controls.
        on_progress: called with the number of completions that were just read.
        store: where the model's hidden states go, and may be already; by default they stay in memory.
    """
    positions = list({each.probe.position.name: each.probe.position for each in subjects}.values())
    layers = sorted({0, *(layer for each in subjects for layer in each.probe.layers)})

    def tables(network: LanguageModel[Any], labels: Sequence[LabelledCompletion]) -> dict[str, Table]:
        return read(
            network, tokenizer, labels, positions, layers, workers=workers, on_progress=on_progress,
            store=store if network is model else None,
        )  # fmt: skip

    some = sample(fitting, REFITTED, seed=0)
    learned, calibrated = tables(model, some), tables(model, calibration)
    rivals = [_rivals(each, learned[each.candidate.position]) for each in subjects]
    scores = [_Scores() for _ in subjects]
    for chunk in _chunks(test):
        found = tables(model, chunk)
        for subject, others, sink in zip(subjects, rivals, scores, strict=True):
            sink.add(subject, others, found[subject.candidate.position])
    few = sample(test, UNPAIRED, seed=0)
    asides = [_control_tasks(subjects, learned, tables(model, few))]
    if untrained is not None:
        asides.append(_random_weights(subjects, tables(untrained, some), tables(untrained, few)))
    results: list[ProbeResult] = []
    for index, (subject, sink) in enumerate(zip(subjects, scores, strict=True)):
        calibration_table = calibrated[subject.candidate.position]
        own = [each[index] for each in asides]
        results.append(_result(subject, sink, calibration_table, own, resamples, workers))
    return tuple(results)


def plain_reads(fitting: int, calibration: int, test: int, with_untrained: bool) -> int:
    """How many completions `judge_plain` reads in all."""
    some, few = min(fitting, REFITTED), min(test, UNPAIRED)
    return some + calibration + test + few + (some + few if with_untrained else 0)


def _chunks(labels: Sequence[LabelledCompletion]) -> Iterator[Sequence[LabelledCompletion]]:
    for start in range(0, len(labels), CHUNK):
        yield labels[start : start + CHUNK]


def _rivals(subject: Subject, table: Table) -> list[Rival]:
    labels = subject.target.labels(table)
    return [signals_regression(table, labels), *controls(subject.candidate, table, labels)]


def _result(
    subject: Subject, sink: _Scores, calibration: Table, asides: Sequence[Aside], resamples: int, workers: int
) -> ProbeResult:
    scores, labels = np.concatenate(sink.probe), np.concatenate(sink.labels)
    groups, domains = np.concatenate(sink.groups), np.concatenate(sink.domains)
    judged = judge_by_domain(scores, labels, groups, domains, sink.joined(), resamples, workers)
    tested = {
        domain: (scores[domains == domain], labels[domains == domain])
        for domain in sorted(set(domains.tolist()))
    }
    calibrated = subject.probe.scores(subject.candidate.inputs(calibration).astype(np.float64))
    return ProbeResult(
        name=subject.probe.name,
        meaning=subject.target.meaning,
        position=subject.candidate.position,
        family=subject.candidate.family,
        layers=subject.candidate.layers,
        domains=tuple(_with_asides(each, asides) for each in judged),
        sweep=subject.sweep,
        thresholds=thresholds((calibrated, subject.target.labels(calibration)), tested),
    )


def _with_asides(result: DomainResult, asides: Sequence[Aside]) -> DomainResult:
    extra = [aside[result.domain] for aside in asides if result.domain in aside]
    return result.model_copy(update={"comparisons": (*result.comparisons, *extra)})


def _control_tasks(
    subjects: Sequence[Subject], learned: Mapping[str, Table], few: Mapping[str, Table]
) -> list[Aside]:
    asides: list[Aside] = []
    for subject in subjects:
        table, tested = learned[subject.candidate.position], few[subject.candidate.position]
        share = float(subject.target.labels(table).mean())
        rival = control_task(subject.candidate, table, share)
        asides.append(_unpaired(rival, tested, noun_labels(tested, share)))
    return asides


def _random_weights(
    subjects: Sequence[Subject], learned: Mapping[str, Table], few: Mapping[str, Table]
) -> list[Aside]:
    asides: list[Aside] = []
    for subject in subjects:
        if not subject.candidate.layers:  # a probe on signals alone
            asides.append({})
            continue
        table, tested = learned[subject.candidate.position], few[subject.candidate.position]
        rival = random_weights(subject.candidate, table, subject.target.labels(table))
        asides.append(_unpaired(rival, tested, subject.target.labels(tested)))
    return asides


def _unpaired(rival: Rival, table: Table, labels: Bools) -> Aside:
    """A control on rows or labels of its own, domain by domain."""
    scores = rival.scores(table)
    return {
        domain: RivalResult(
            name=rival.name,
            kind=rival.kind,
            metrics=measure(scores[rows], labels[rows], table.group[rows], resamples=UNPAIRED_RESAMPLES),
        )
        for domain in sorted(set(table.domain.tolist()))
        for rows in [table.domain == domain]
    }
