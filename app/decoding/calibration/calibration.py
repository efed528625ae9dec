"""What is typical of one checkpoint: quantiles of its signals, from which strategies take thresholds.

`demur calibrate` measures it and stores it beside the weights; it is good for those weights alone.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.decoding.calibration.risk_table import RiskTable
from app.errors import CalibrationError, MissingError
from models.checkpoint import Identity
from models.files import beside, read_bytes, write_atomically

CALIBRATION_FILE = "calibration.json"
_RECORD = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
_SHA256 = r"^[0-9a-f]{64}$"


class CheckpointIdentity(BaseModel):
    """sha256, in hex, of the files of the checkpoint that was measured."""

    model_config = _RECORD

    weights: str = Field(pattern=_SHA256)
    config: str = Field(pattern=_SHA256)
    tokenizer: str = Field(pattern=_SHA256)


class Measurement(BaseModel):
    """What was measured: reference solutions of so many problems of a corpus, read teacher-forced."""

    model_config = _RECORD

    corpus: str
    split: str
    problems: int = Field(ge=1)
    op_min: int
    op_max: int
    seed: int


class TextMeasurement(BaseModel):
    """What was measured of a model without a corpus: texts that came with prompts, or its own.

    prompts: sha256 of the prompts. texts: how many were read. given: of those that were asked for, how many
    came with their prompts. The others the model wrote, at this temperature and no longer than `max_tokens`;
    there the token that is drawn stands for the right one.
    """

    model_config = _RECORD

    prompts: str = Field(pattern=_SHA256)
    texts: int = Field(ge=1)
    given: int = Field(ge=0)
    temperature: float = Field(ge=0)
    max_tokens: int = Field(ge=1)
    stop: tuple[str, ...] = ()
    seed: int


class SignalSummary(BaseModel):
    """One signal over all tokens, in its own unit.

    quantiles: 101 values, the 0%, 1%, ... 100% quantile.
    """

    model_config = _RECORD

    mean: float
    variance: float = Field(ge=0)
    quantiles: tuple[float, ...] = Field(min_length=101, max_length=101)

    @model_validator(mode="after")
    def _ascending(self) -> "SignalSummary":
        if any(low > high for low, high in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise ValueError("quantiles must not descend")
        return self

    def quantile(self, percent: int) -> float:
        """The value that `percent` of the tokens, a whole number from 0 to 100, do not exceed."""
        return self.quantiles[percent]


class LearnedThreshold(BaseModel):
    """Entropy from which the likeliest token is more often wrong than right, by logistic regression.

    P(wrong | H) = 1 / (1 + exp(-(intercept + slope * H))) by maximum likelihood over all tokens;
    the likeliest token is wrong where the reference solution has another. The threshold is where P = 1/2, at
    H = -intercept / slope, but at least 0.

    threshold: in nats; None where P does not grow with H or no token was wrong, so there is none.
    """

    model_config = _RECORD

    threshold: float | None = Field(default=None, ge=0)
    intercept: float | None = None
    slope: float | None = None
    wrong: int = Field(ge=0)
    tokens: int = Field(ge=1)


class SignalCalibration(BaseModel):
    """The content of calibration.json. Each section serves some strategies and says how it was made."""

    model_config = _RECORD

    version: Literal[1] = 1
    checkpoint: CheckpointIdentity
    measurement: Measurement | TextMeasurement
    tokens: int = Field(ge=1)
    signals: Mapping[str, SignalSummary]
    adadec: LearnedThreshold
    risk: RiskTable | None = None

    def signal(self, name: str) -> SignalSummary:
        """The summary of a signal.

        Raises:
            MissingError: it was not measured.
        """
        if name not in self.signals:
            raise MissingError(
                f"The calibration holds no signal {name!r}, only {', '.join(self.signals)}; run "
                "`demur calibrate` again, or give the strategy its thresholds.",
                param="strategy",
            )
        return self.signals[name]


def refuse_uncalibrated(kind: str, fields: str) -> NoReturn:
    """Raise for a strategy that lacks thresholds where nothing was calibrated.

    Raises:
        MissingError: always; names the fields to give.
    """
    raise MissingError(
        f"strategy {kind!r} was given no {fields}, and the checkpoint has no {CALIBRATION_FILE} to take it "
        "from; give it in the request, or let `demur calibrate` learn it.",
        param="strategy",
    )


def identity_of(identity: Identity) -> CheckpointIdentity:
    """A checkpoint's identity, as it is stored."""
    return CheckpointIdentity(**asdict(identity))


def write_calibration(folder: Path, calibration: SignalCalibration) -> Path:
    """Put a calibration into its checkpoint's folder, atomically, and say where."""
    path = beside(folder, CALIBRATION_FILE)
    write_atomically(path, (calibration.model_dump_json(indent=2) + "\n").encode())
    return path


def read_calibration(folder: Path, identity: Identity) -> SignalCalibration | None:
    """The calibration in a checkpoint's folder; None if there is none.

    Raises:
        CalibrationError: it is damaged, or was measured on another checkpoint.
        ArtifactError: it cannot be read.
    """
    path = beside(folder, CALIBRATION_FILE)
    if not path.exists():
        return None
    try:
        calibration = SignalCalibration.model_validate_json(read_bytes(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CalibrationError(
            f"{path} is damaged: {place}: {first['msg']}. Run `demur calibrate` again, or delete it."
        ) from None
    measured, loaded = calibration.checkpoint.model_dump(), asdict(identity)
    for part, digest in measured.items():
        if digest != loaded[part]:
            raise CalibrationError(
                f"{path} was measured on another checkpoint: its {part} has sha256 {digest[:12]}..., the "
                f"loaded one {loaded[part][:12]}.... Run `demur calibrate` for this one, or delete the file."
            )
    return calibration
