"""The evaluation of all stored probes of a checkpoint, the planning probe and drift included."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import torch
from pydantic import JsonValue

from models.checkpoint import LoadedCheckpoint, load_network
from models.corpora.corpus import Corpus
from models.corpora.registry import corpus_of
from models.decoder import Decoder
from models.errors import ArtifactError
from models.gpt2 import GPT2
from models.training.initialise import initialise
from probes.card import ProbeCard
from probes.fitting import necessary
from probes.fitting.labels import LabelledCompletion, data_hash
from probes.fitting.sizes import WIDE
from probes.fitting.state_store import StateStore
from probes.fitting.workflow import Watch, by_part
from probes.judging import intervention
from probes.judging.base_rates import base_rates
from probes.judging.plain_probes import Subject, judge_plain, plain_reads
from probes.judging.planning import judge_planning, planning_reads
from probes.judging.record import data_summary, subject_of
from probes.judging.results import EvaluationReport, ProbeResult
from probes.judging.verdict import verdict_of
from probes.store import StoredProbe

REWRITTEN_FROM = 3000
"""Calibration completions among which flagged steps are looked for."""


def judge_stored(
    loaded: LoadedCheckpoint,
    stored: Sequence[StoredProbe],
    labels: Sequence[LabelledCompletion],
    command: str,
    resamples: int,
    workers: int,
    watch: Watch,
    store: StateStore | None = None,
) -> EvaluationReport:
    """Judge stored probes by the test part of labelled completions; results in the order of the probes.

    Args:
        store: where hidden states go, and may be already; by default they stay in memory.

    Raises:
        ProbeFileError: a card does not say how its probe was made.
        LabelsError: a part of the labels is empty.
    """
    parts = by_part([each for each in labels if each.own])
    subjects = [subject_of(each) for each in stored]
    plain = [each for each in subjects if not each.probe.tokens]
    untrained = _untrained(loaded)
    sizes = len(parts["fit"]), len(parts["calibration"]), len(parts["test"])
    total = plain_reads(*sizes, with_untrained=untrained is not None)
    with watch("reading the test part", total) as done:
        results = {
            result.name: result
            for result in judge_plain(
                loaded.model, loaded.tokenizer, plain, parts["fit"], parts["calibration"], parts["test"],
                untrained, workers, resamples, done, store,
            )
        }  # fmt: skip
    for subject in subjects:
        if subject.probe.name == necessary.NAME:
            with watch("reading for the planning probe", planning_reads(parts)) as done:
                results[subject.probe.name] = judge_planning(
                    loaded.model, loaded.tokenizer, subject, parts, untrained, workers, resamples, done
                )
    if (corpus := corpus_of(loaded.card)) is not None:
        results |= _with_drift(loaded, corpus, stored, results, parts["calibration"], watch)
    return EvaluationReport(
        checkpoint=loaded.model.spec.name,
        identity=dict(vars(loaded.identity)),
        made=datetime.now(UTC).date().isoformat(),
        command=command,
        probes=tuple(results[each.probe.name] for each in stored),
        base_rates=base_rates([each for part in parts.values() for each in part]),
        notes=(
            f"The test part has {len(parts['test'])} completions (sha256 "
            f"{data_hash(parts['test'])}) and is read by this evaluation only.",
            "Intervals are 95%, from resampling whole problems.",
            *_cautions(subjects, results),
        ),
    )


def _cautions(subjects: Sequence[Subject], results: Mapping[str, ProbeResult]) -> list[str]:
    """Of which probes the test part is too small to say much."""
    said: list[str] = []
    for subject in subjects:
        for domain in results[subject.probe.name].domains:
            half = (domain.metrics.auroc.high - domain.metrics.auroc.low) / 2
            if not half <= WIDE:  # nor where it is no number
                said.append(
                    f"{subject.probe.name} has {domain.positives} positives of {domain.rows} readings in the "
                    f"test part ({domain.domain}), from {domain.problems} problems: its figures say little."
                )
    return said


def with_evaluation(card: ProbeCard, result: ProbeResult, test: Sequence[LabelledCompletion]) -> ProbeCard:
    """The card with the figures and curves of an evaluation on the test part, and what that part is."""
    domains: dict[str, JsonValue] = {
        domain.domain: domain.model_dump(mode="json") for domain in result.domains
    }
    verdict = verdict_of({domain.domain: domain for domain in result.domains})
    evaluated: dict[str, JsonValue] = {
        "domains": domains,
        "thresholds": [each.model_dump(mode="json") for each in result.thresholds],
        "calibration_drift": [each.model_dump(mode="json") for each in result.calibration_drift],
        "verdict": {"beats_free": verdict.beats_free, "reason": verdict.reason},
    }
    known = card.evidence.get("data")
    data: dict[str, JsonValue] = {**(known if isinstance(known, dict) else {}), "test": data_summary(test)}
    return card.model_copy(update={"evidence": {**card.evidence, "data": data, "evaluation": evaluated}})


def _with_drift(
    loaded: LoadedCheckpoint,
    corpus: Corpus,
    stored: Sequence[StoredProbe],
    results: dict[str, ProbeResult],
    labels: Sequence[LabelledCompletion],
    watch: Watch,
) -> dict[str, ProbeResult]:
    """The results of the probe of any mistake, with its calibration on steps that were written again."""
    found = next((each for each in stored if each.probe.name == "step_error"), None)
    if found is None or found.probe.position.at != "close":
        return {}
    own = [each for each in labels if each.domain == "id" and each.tags.get("temperature", 0) > 0]
    chosen = own[:: max(1, len(own) // REWRITTEN_FROM)]
    threshold = next(each.threshold for each in found.card.thresholds if "5%" in each.purpose)
    with watch("rewriting flagged steps", len(chosen)) as done:
        rewritten = intervention.rewrite(
            loaded.model, loaded.tokenizer, found.probe, threshold, chosen, corpus, on_progress=done
        )
    entries = intervention.drift(rewritten)
    return {"step_error": results["step_error"].model_copy(update={"calibration_drift": entries})}


def _untrained(loaded: LoadedCheckpoint) -> Decoder | None:
    """The same network with GPT-2's random weights; None for a network of another make."""
    try:
        trained, _ = load_network(loaded.path)
    except ArtifactError:
        return None
    network = GPT2(trained.config)
    with torch.no_grad():
        tokens = [
            loaded.tokenizer.token_bytes(token_id).decode("utf-8", "replace")
            for token_id in range(loaded.tokenizer.vocab_size)
        ]
        initialise(network, tokens, seed=0, structures=())
    return Decoder(network.eval(), "untrained", loaded.model.spec.end_token_ids)
