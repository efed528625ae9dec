"""What a comparison ran on: everything beside its spec that decides its outcomes, and when it began."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version

from pydantic import BaseModel, ConfigDict

from app.compare.spec import ComparisonSpec
from app.decoding.calibration.calibration import CheckpointIdentity, SignalCalibration, identity_of
from app.decoding.core.signals import PROBE_PREFIX
from models.checkpoint import LoadedCheckpoint
from probes.store import StoredProbe


class About(BaseModel):
    """`about.json`. A run goes on only where `checkpoint`, `calibration` and `probes` are the same.

    calibration: sha256 of the thresholds that strategies may take; None if there are none.
    probes: of those that the arms or the signals name, sha256 of weights and calibration.
    started: when the run began, ISO 8601, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    checkpoint: CheckpointIdentity
    calibration: str | None
    probes: dict[str, str]
    versions: dict[str, str]
    started: str


def about(
    spec: ComparisonSpec,
    checkpoint: LoadedCheckpoint,
    probes: Sequence[StoredProbe] = (),
    calibration: SignalCalibration | None = None,
) -> About:
    """What a comparison that begins now runs on.

    probes, calibration: those that the engine has.
    """
    named = {*spec.signals, *(name for arm in spec.arms for name in arm.strategy.needs)}
    return About(
        model=checkpoint.model.spec.name,
        checkpoint=identity_of(checkpoint.identity),
        calibration=None if calibration is None else _digest(calibration.model_dump_json()),
        probes={
            each.card.name: _digest(each.card.tensors + each.card.calibration.model_dump_json())
            for each in probes
            if PROBE_PREFIX + each.card.name in named
        },
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("demur", "torch")},
        },
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
