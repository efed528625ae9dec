"""What a comparison ran on: everything beside its spec that decides its outcomes, and when it began."""

import platform
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version

from pydantic import BaseModel, ConfigDict

from app.compare.served_model import LentModels, ServedModel
from app.compare.spec import ComparisonSpec
from app.decoding.calibration.calibration import CheckpointIdentity, identity_of
from app.decoding.core.signals import PROBE_PREFIX


class RanOn(BaseModel):
    """A model that arms name. checkpoint, calibration, probes: as in `About`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: CheckpointIdentity
    calibration: str | None
    probes: dict[str, str]


class About(BaseModel):
    """`about.json`. A run goes on only where `checkpoint`, `calibration`, `probes` and `models` are the same.

    model, checkpoint: of the model that the problems are written for, the default if any arm runs on it.
    calibration: sha256 of the thresholds that strategies may take; None if there are none.
    probes: of those that the arms or the signals name, sha256 of weights and calibration.
    models: those that arms name, by the names that they call them.
    started: when the run began, ISO 8601, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    checkpoint: CheckpointIdentity
    calibration: str | None
    probes: dict[str, str]
    models: dict[str, RanOn] = {}
    versions: dict[str, str]
    started: str


def about(spec: ComparisonSpec, models: LentModels) -> About:
    """What a comparison that begins now runs on."""
    ran_on = {name: _ran_on(spec, name, model) for name, model in models.by_name.items()}
    first = next(iter(ran_on.values()))
    return About(
        model=models.first.checkpoint.model.spec.name,
        checkpoint=first.checkpoint,
        calibration=first.calibration,
        probes=first.probes,
        models={name: each for name, each in ran_on.items() if name is not None},
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("demur", "torch")},
        },
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _ran_on(spec: ComparisonSpec, name: str | None, model: ServedModel) -> RanOn:
    arms = [arm for arm in spec.arms if arm.model == name]
    named = {*spec.signals, *(signal for arm in arms for signal in arm.strategy.needs)}
    return RanOn(
        checkpoint=identity_of(model.checkpoint.identity),
        calibration=None if model.calibration is None else _digest(model.calibration.model_dump_json()),
        probes={
            each.card.name: _digest(each.card.tensors + each.card.calibration.model_dump_json())
            for each in model.probes
            if PROBE_PREFIX + each.card.name in named
        },
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
