"""Measuring what is typical of a model: every signal at every token of texts that are known to be right."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from app.decoding.calibration.calibration import (
    Measurement,
    SignalCalibration,
    SignalSummary,
    TextMeasurement,
    identity_of,
)
from app.decoding.calibration.threshold import learn_threshold
from app.decoding.core.signals import SIGNALS
from app.engine.engine import Engine
from models.checkpoint import Identity

_PERCENTS = np.arange(101) / 100


@dataclass(frozen=True)
class Document:
    """A prompt and what is to follow it, the end token included."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]


@dataclass
class Readings:
    """Signal values by name, and whether the likeliest token was another than the text's: one per token."""

    values: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SIGNALS})
    wrong: list[bool] = field(default_factory=list[bool])


def read_documents(
    engine: Engine, documents: Iterable[Document], on_document: Callable[[], None] = lambda: None
) -> Readings:
    """Read the completions of documents, teacher-forced.

    Raises:
        ContextLengthError: a document is longer than the model's context.
    """
    readings = Readings()
    for document in documents:
        ids = (*document.prompt_ids, *document.completion_ids)
        tokens = engine.score(ids, tuple(SIGNALS), top_logprobs=1)
        # Nothing predicts the first token of the prompt, so there is one reading less than tokens.
        for token in tokens[len(document.prompt_ids) - 1 :]:
            for name, values in readings.values.items():
                values.append(token.signals[name])
            readings.wrong.append(token.top[0].token_id != token.id)
        on_document()
    return readings


def calibrate(
    readings: Readings, measurement: Measurement | TextMeasurement, identity: Identity
) -> SignalCalibration:
    """Sum the readings up."""
    return SignalCalibration(
        checkpoint=identity_of(identity),
        measurement=measurement,
        tokens=len(readings.wrong),
        signals={name: summarise(values) for name, values in readings.values.items()},
        adadec=learn_threshold(readings.values["entropy"], readings.wrong),
    )


def summarise(values: list[float]) -> SignalSummary:
    """Mean, variance and quantiles of one signal, interpolated linearly between the tokens."""
    array = np.asarray(values, dtype=np.float64)
    # Interpolation may round a value below the one before it.
    quantiles = np.maximum.accumulate(np.quantile(array, _PERCENTS))
    return SignalSummary(
        mean=float(array.mean()), variance=float(array.var()), quantiles=tuple(quantiles.tolist())
    )
