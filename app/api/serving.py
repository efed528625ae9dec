"""A model that is open, and what remains known of it when it is not."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.decoding.calibration.calibration import SignalCalibration
from app.engine.engine import Engine
from models.checkpoint import Identity, LoadedCheckpoint
from models.language_model import ModelSpec
from probes.store import StoredProbe


@dataclass(frozen=True)
class Serving:
    """A loaded checkpoint with its probes and calibration, and the running engine that decodes with them.

    name: the model's, in requests and answers.
    """

    name: str
    checkpoint: LoadedCheckpoint
    engine: Engine
    probes: tuple[StoredProbe, ...] = ()
    calibration: SignalCalibration | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def fingerprint(self) -> str:
        """Tells apart the weights, config and tokenizers that texts were made with."""
        return f"fp_{self.checkpoint.identity.weights[:12]}"


@dataclass(frozen=True)
class ModelFacts:
    """What can be done with a model, and what it is; it is small, so it is kept when the model goes."""

    spec: ModelSpec
    identity: Identity
    card: Mapping[str, Any]
    probes: tuple[str, ...]
    has_chat_template: bool
    is_calibrated: bool


def facts_of(serving: Serving) -> ModelFacts:
    """What is kept of an open model."""
    checkpoint = serving.checkpoint
    return ModelFacts(
        spec=checkpoint.model.spec,
        identity=checkpoint.identity,
        card=checkpoint.card,
        probes=tuple(stored.card.name for stored in serving.probes),
        has_chat_template=checkpoint.tokenizer.chat_template is not None,
        is_calibrated=serving.calibration is not None,
    )
