"""The card of a stored probe: whose mind it reads, where, what its score means, and what speaks for it."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from models.checkpoint import LoadedCheckpoint
from models.language_model import LanguageModel
from probes.position import At, Position
from probes.probe import Calibration, Pooling, Probe
from probes.reference_scores import score_text

FORMAT = 1
HOOK_POINT = "residual stream after block, before the final norm"

_CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Share = Annotated[float, Field(ge=0, le=1)]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class CheckpointCard(BaseModel):
    """The checkpoint that a probe was fitted on: sha256 of its files, and what was read of it."""

    model_config = _CONFIG

    weights: _Hash
    config: _Hash
    tokenizer: _Hash
    d_model: int = Field(ge=1)
    n_layers: int = Field(ge=0)
    compute_dtype: Literal["float32"] = "float32"
    hook_point: Literal["residual stream after block, before the final norm"] = HOOK_POINT

    @classmethod
    def of(cls, checkpoint: LoadedCheckpoint) -> Self:
        """What a loaded checkpoint is."""
        identity, spec = checkpoint.identity, checkpoint.model.spec
        return cls(
            weights=identity.weights,
            config=identity.config,
            tokenizer=identity.tokenizer,
            d_model=spec.d_model,
            n_layers=spec.n_layers,
        )


class PositionCard(BaseModel):
    """See `probes.position.Position`."""

    model_config = _CONFIG

    name: str
    at: At
    closing: tuple[TokenId, ...]
    read: int = Field(default=0, ge=0)
    markers: tuple[TokenId, ...] = ()


class CalibrationCard(BaseModel):
    """See `probes.probe.Calibration`."""

    model_config = _CONFIG

    kind: Literal["platt", "isotonic"]
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[tuple[float, _Share], ...] = ()

    @model_validator(mode="after")
    def _knots_rise(self) -> Self:
        if (self.kind == "isotonic") != bool(self.knots):
            raise ValueError("knots are given for an isotonic calibration, at least one, and for no other")
        at = [logit for logit, _ in self.knots]
        if at != sorted(at):
            raise ValueError("the logits of the knots must not fall")
        return self


class Threshold(BaseModel):
    """A score from which on an alarm is raised, with what it was measured to do."""

    model_config = _CONFIG

    purpose: str
    false_alarm_rate: _Share = Field(description="Share of negatives with a score of at least `threshold`.")
    threshold: float
    recall: _Share = Field(description="Share of positives with a score of at least `threshold`.")


class GoldenScore(BaseModel):
    """The score at one token of the golden example's completion, counted from 0."""

    model_config = _CONFIG

    token: int = Field(ge=0)
    score: _Share


class GoldenExample(BaseModel):
    """A text and its scores, replayed whenever the probe is loaded: it finds what hashes cannot."""

    model_config = _CONFIG

    prompt_ids: tuple[TokenId, ...] = Field(min_length=1)
    completion_ids: tuple[TokenId, ...] = Field(min_length=1)
    scores: tuple[GoldenScore, ...] = Field(min_length=1)


class ProbeCard(BaseModel):
    """Everything about a probe but its weights."""

    model_config = _CONFIG

    format: Literal[1] = FORMAT
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    checkpoint: CheckpointCard
    tensors: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="sha256 of the tensors' file.")
    positive: str = Field(min_length=1, description="What is likely where the score is high.")
    position: PositionCard
    layers: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        description="0 is after the embedding, k after block k."
    )
    pooling: Pooling
    signals: bool = Field(description="Whether the probe sees the model's signals besides.")
    tokens: tuple[TokenId, ...] = Field(description="If any, the probe has a unit for each of these tokens.")
    family: str
    calibration: CalibrationCard
    thresholds: tuple[Threshold, ...]
    evidence: dict[str, JsonValue] = Field(
        description="Hashes of the data, metrics with intervals, controls, baselines, definition of the "
        "labels, sampler settings, commit and command."
    )
    licence: str
    golden: GoldenExample

    @field_validator("evidence")
    @classmethod
    def _is_finite(cls, evidence: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if not _finite(evidence):
            raise ValueError("it holds NaN or infinity, which JSON has no word for; use null")
        return evidence

    def position_of_probe(self) -> Position:
        """The position as the probe has it."""
        return Position(**self.position.model_dump())

    def calibration_of_probe(self) -> Calibration:
        """The calibration as the probe has it."""
        return Calibration(**self.calibration.model_dump())


def golden_example(
    model: LanguageModel[Any], probe: Probe, prompt_ids: Sequence[int], completion_ids: Sequence[int]
) -> GoldenExample:
    """A text with the scores that the probe gives it now.

    Raises:
        ValidationError: the probe is read nowhere in the completion; choose another.
    """
    scores = score_text(model, prompt_ids, completion_ids, [probe])
    return GoldenExample(
        prompt_ids=tuple(prompt_ids),
        completion_ids=tuple(completion_ids),
        scores=tuple(
            GoldenScore(token=index, score=values[probe.name])
            for index, values in enumerate(scores)
            if probe.name in values
        ),
    )


def probe_card(
    probe: Probe,
    checkpoint: LoadedCheckpoint,
    *,
    positive: str,
    family: str,
    thresholds: Sequence[Threshold],
    evidence: dict[str, JsonValue],
    licence: str,
    golden: GoldenExample,
) -> ProbeCard:
    """The card of a probe that was fitted on a checkpoint."""
    position, calibration = probe.position, probe.calibration
    return ProbeCard(
        name=probe.name,
        checkpoint=CheckpointCard.of(checkpoint),
        positive=positive,
        position=PositionCard(**vars(position)),
        layers=tuple(map(int, probe.layers)),
        pooling=probe.pooling,
        signals=probe.signals,
        tokens=tuple(map(int, probe.tokens)),
        family=family,
        calibration=CalibrationCard(**vars(calibration)),
        thresholds=tuple(thresholds),
        evidence=evidence,
        licence=licence,
        golden=golden,
    )


def _finite(value: JsonValue) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(_finite(inner) for inner in value.values())
        case list():
            return all(_finite(inner) for inner in value)
        case _:
            return True
