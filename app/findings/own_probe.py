"""A probe for a model's own mistakes in the solutions of a corpus: fitted, and judged beside its rivals."""

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.settings import EMBEDDED_CHECKPOINT, EMBEDDED_PROBES
from models import checkpoint
from models.checkpoint import LoadedCheckpoint
from models.corpora.corpus import Corpus
from models.corpora.registry import corpus_of
from models.errors import ArtifactError
from models.files import read_json
from probes import store
from probes.fitting.corpus_labels import TEMPERATURES, label_all, plan
from probes.fitting.labels import LabelledCompletion, Part
from probes.fitting.workflow import EVERY_PART, FITTED_ON, by_part, fit_all_probes
from probes.judging.record import FittingData, card_of
from probes.judging.results import DomainResult
from probes.judging.stored_probes import judge_stored
from probes.position import standard_positions
from probes.store import StoredProbe

PROBE = "step_error"
DOMAIN = "id"
"""Sizes that the model was trained on."""
_RESAMPLES = 500


@dataclass(frozen=True)
class Labelling:
    """How many of the model's solutions are labelled: a factor on what `demur probe label` plans, and at
    which of its temperatures."""

    scale: float
    temperatures: Collection[float] = tuple(TEMPERATURES)


def fitted_probe(
    loaded: LoadedCheckpoint, corpus: Corpus, folder: Path, labelling: Labelling, seed: int
) -> StoredProbe:
    """`step_error` of a model, read at the end of steps; found again where it was made.

    Raises:
        LabelsError: the model makes too few mistakes, or hardly anything right.
    """
    if not (folder / "probes").exists():
        labels = _labels(loaded, corpus, folder, labelling, seed, FITTED_ON)
        layout = corpus.layout
        positions = standard_positions(
            loaded.tokenizer, layout.step_ends, layout.step_middles, loaded.model.spec.end_token_ids
        )
        fitted = fit_all_probes(
            loaded.model,
            loaded.tokenizer,
            {"end": positions["end"]},
            labels,
            min_mistakes=10**9,  # none for a single kind of mistake
            workers=1,
            watch=_unwatched,
        )
        (probe,) = (each for each in fitted.probes if each.probe.name == PROBE)
        data = FittingData.of(by_part(labels, FITTED_ON), {"seed": seed, "scale": labelling.scale})
        store.save(folder / "probes", probe.probe, card_of(probe, loaded, data))
    (stored,) = store.load_all(folder / "probes", loaded)
    return stored


def evaluated_before() -> DomainResult:
    """What the card of the embedded model's probe says of it (docs/probes.md)."""
    path: Any = EMBEDDED_PROBES / EMBEDDED_CHECKPOINT.name / f"{PROBE}.json"
    card: Any = read_json(path)
    try:
        return DomainResult.model_validate(card["evidence"]["evaluation"]["domains"][DOMAIN])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} has no evaluation on the domain {DOMAIN!r}: {error}") from error


def evaluated_anew(folder: Path, labelling: Labelling, seed: int) -> DomainResult:
    """A probe of the embedded model, fitted and judged on problems of another seed."""
    loaded = checkpoint.load(EMBEDDED_CHECKPOINT)
    corpus = corpus_of(loaded.card)
    if corpus is None:
        raise ArtifactError(f"the card of {EMBEDDED_CHECKPOINT} names no corpus")
    stored = fitted_probe(loaded, corpus, folder, labelling, seed)
    labels = _labels(loaded, corpus, folder, labelling, seed, EVERY_PART)
    report = judge_stored(
        loaded, [stored], labels, "demur findings run mistakes", _RESAMPLES, workers=1, watch=_unwatched
    )
    (result,) = report.probes
    return next(each for each in result.domains if each.domain == DOMAIN)


def _labels(
    loaded: LoadedCheckpoint,
    corpus: Corpus,
    folder: Path,
    labelling: Labelling,
    seed: int,
    parts: Collection[Part],
) -> list[LabelledCompletion]:
    jobs = [
        job
        for job in plan(corpus, labelling.scale)
        if job.part in parts and job.temperature in labelling.temperatures
    ]
    return label_all(loaded.model, loaded.tokenizer, corpus, folder / "labels", jobs, seed, workers=1)


@contextmanager
def _unwatched(_name: str, _total: int) -> Generator[Callable[[int], None]]:
    yield lambda _count: None
