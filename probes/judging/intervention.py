"""Whether a probe's probabilities still hold after they were acted on: a step that was flagged, taken back
and written again comes from another distribution than the steps that the probe was calibrated on."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.complete import complete
from models.corpora.corpus import CORRECT, Corpus, judge
from models.language_model import LanguageModel
from models.tokenizer import Tokenizer
from probes.fitting.calibrate import platt
from probes.fitting.labels import LabelledCompletion
from probes.judging.results import CalibrationDrift
from probes.metrics.resampling import measure
from probes.probe import Probe
from probes.reference_scores import score_text

BATCH = 128


@dataclass(frozen=True)
class RewrittenSteps:
    """Steps that were flagged and written again: the probe's (n,) scores of the new ones, whether they are
    wrong, and the problem of each."""

    scores: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    groups: NDArray[np.int64]


def rewrite(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    probe: Probe,
    threshold: float,
    labels: Sequence[LabelledCompletion],
    corpus: Corpus,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda _: None,
) -> RewrittenSteps:
    """Take back the first step of each completion that the probe flags, let the model write it again at
    temperature 1, and judge and score what it writes.

    Args:
        probe: one that is read where a step is closed.
        labels: completions of problems of the corpus.
    """
    flagged: list[tuple[int, LabelledCompletion, list[int]]] = []
    for index, labelled in enumerate(labels):
        ids = list(labelled.completion_ids)
        prompt = tokenizer.encode_prompt(labelled.prompt)
        scores = score_text(model, prompt, ids, [probe])
        start = 0
        for at, score in enumerate(scores):
            if score.get(probe.name, 0.0) > threshold:
                flagged.append((index, labelled, ids[:start]))
                break
            if ids[at] in probe.position.closing:
                start = at + 1
        on_progress(1)
    found: list[tuple[float, bool, int]] = []
    for first in range(0, len(flagged), BATCH):
        chunk = flagged[first : first + BATCH]
        prompts = [tokenizer.encode_prompt(labelled.prompt) for _, labelled, _ in chunk]
        prefixes = [[*prompt, *kept] for prompt, (_, _, kept) in zip(prompts, chunk, strict=True)]
        steps = complete(
            model, prefixes, 1.0, seed + first, corpus.layout.longest_step, stop=probe.position.closing
        )
        for prompt, (group, labelled, kept), step in zip(prompts, chunk, steps, strict=True):
            score = score_text(model, prompt, [*kept, *step], [probe])[-1].get(probe.name)
            wrong = _is_wrong(tokenizer, labelled.prompt, kept, step, corpus, model.spec.end_token_ids)
            if score is not None:
                found.append((score, wrong, group))
    columns = list(zip(*found, strict=True)) if found else [(), (), ()]
    return RewrittenSteps(
        np.array(columns[0], dtype=np.float64),
        np.array(columns[1], dtype=np.bool_),
        np.array(columns[2], dtype=np.int64),
    )


def drift(rewritten: RewrittenSteps) -> tuple[CalibrationDrift, ...]:
    """Calibration on rewritten steps, as it is and with a calibration of its own, each half judged by the
    other's. Empty where there are too few to tell."""
    scores, wrong, groups = rewritten.scores, rewritten.wrong, rewritten.groups
    half = groups % 2 == 0
    if any(not 5 <= int(wrong[rows].sum()) <= int(rows.sum()) - 5 for rows in (half, ~half)):
        return ()
    # Platt's calibration of a calibrated score works on its logit, whatever made it.
    logits = np.log(np.clip(scores, 1e-6, 1 - 1e-6) / (1 - np.clip(scores, 1e-6, 1 - 1e-6)))
    again = np.zeros(len(scores))
    for rows in (half, ~half):
        again[~rows] = platt(logits[rows], wrong[rows])(logits[~rows])
    entries: list[CalibrationDrift] = []
    for label, values in (("steps written again", scores), ("the same, calibrated for them", again)):
        metrics = measure(values, wrong, groups)
        entries.append(CalibrationDrift(label=label, ece=metrics.ece, brier=metrics.brier))
    return tuple(entries)


def _is_wrong(
    tokenizer: Tokenizer,
    prompt: str,
    kept: Sequence[int],
    step: Sequence[int],
    corpus: Corpus,
    ends: Collection[int],
) -> bool:
    text = tokenizer.decode([token_id for token_id in (*kept, *step) if token_id not in ends])
    start = len(tokenizer.decode(kept))
    report = judge(corpus, prompt, text)
    judged = [each.verdict != CORRECT for each in report.steps if each.end > start]
    return any(judged) if judged else not report.correct
