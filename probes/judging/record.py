"""What a stored probe's card keeps of its making, so that it can be judged later without the run it came
from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from models.checkpoint import LoadedCheckpoint
from models.tokenizer import Tokenizer
from probes.card import GoldenExample, ProbeCard, Threshold, golden_example, probe_card
from probes.errors import LabelsError, ProbeFileError
from probes.fitting.candidates import Candidate
from probes.fitting.labels import LabelledCompletion, Part, data_hash
from probes.fitting.sweep import FittedProbe, SweepEntry
from probes.fitting.target import Target
from probes.judging.plain_probes import Subject
from probes.probe import Probe
from probes.store import StoredProbe

LICENCE = "Apache-2.0"

EXAMPLES = 200
"""Completions among which the golden example is looked for."""


class Making(BaseModel):
    """How a probe was made: what `probes.fitting.sweep` compared and chose."""

    model_config = ConfigDict(frozen=True)

    target: Target
    candidate: Candidate
    sweep: tuple[SweepEntry, ...]


@dataclass(frozen=True)
class FittingData:
    """What all probes of a fit were made from: a description for their cards, and texts to try them on.

    origin: where the labels are from and how they were made, the command, the commit.
    """

    description: dict[str, JsonValue]
    origin: dict[str, JsonValue]
    examples: Sequence[LabelledCompletion]

    @classmethod
    def of(
        cls, parts: Mapping[Part, Sequence[LabelledCompletion]], origin: Mapping[str, JsonValue]
    ) -> "FittingData":
        """The data of labelled completions by part."""
        description: dict[str, JsonValue] = {part: data_summary(labels) for part, labels in parts.items()}
        return cls(description, dict(origin), parts["calibration"][:EXAMPLES])


def card_of(
    fitted: FittedProbe, loaded: LoadedCheckpoint, data: FittingData, cautions: Sequence[str] = ()
) -> ProbeCard:
    """The card of a probe that was just fitted. cautions: what it has to say of labels that are too few."""
    making = Making(target=fitted.target, candidate=fitted.candidate, sweep=fitted.sweep)
    evidence: dict[str, JsonValue] = {
        "making": making.model_dump(mode="json"),
        "data": data.description,
        "origin": data.origin,
    }
    if cautions:
        evidence["cautions"] = list(cautions)
    return probe_card(
        fitted.probe,
        loaded,
        positive=fitted.target.meaning,
        family=fitted.candidate.family,
        thresholds=[
            Threshold(
                purpose=f"at most {threshold.asked:.0%} false alarms on the calibration part",
                false_alarm_rate=threshold.measured[0].false_alarm_rate,
                threshold=threshold.threshold,
                recall=threshold.measured[0].recall,
            )
            for threshold in fitted.thresholds
        ],
        evidence=evidence,
        licence=LICENCE,
        golden=_golden(loaded, _as_stored(fitted.probe), data.examples),
    )


def subject_of(stored: StoredProbe) -> Subject:
    """A stored probe, ready to be judged.

    Raises:
        ProbeFileError: its card does not say how it was made.
    """
    try:
        making = Making.model_validate(stored.card.evidence["making"])
    except (KeyError, ValidationError) as error:
        raise ProbeFileError(
            f"the card of {stored.card.name} does not say how it was made; fit it with `demur probe fit`"
        ) from error
    return Subject(stored.probe, making.target, making.candidate, making.sweep)


def data_summary(labels: Sequence[LabelledCompletion]) -> dict[str, JsonValue]:
    """Completions of a part, for a card: which they are, how many, and what is wrong with them."""
    kinds = Counter(span.kind for each in labels for span in each.wrong if each.own)
    return {
        "sha256": data_hash(labels),
        "completions": sum(each.own for each in labels),
        "forced": sum(not each.own for each in labels),
        "first_mistakes": dict(sorted(kinds.items())),
    }


def _as_stored(probe: Probe) -> Probe:
    """The probe with its weights as they come back from a file, in float32."""
    arrays = {name: getattr(probe, name).astype(np.float32) for name in ("weight", "bias", "out_weight")}
    rounded = {name: array.astype(np.float64) for name, array in arrays.items()}
    return replace(probe, out_bias=float(np.float32(probe.out_bias)), **rounded)


def _golden(loaded: LoadedCheckpoint, probe: Probe, labels: Sequence[LabelledCompletion]) -> GoldenExample:
    """A completion at which the probe is read, with a mistake in it if one is found soon."""
    tokenizer: Tokenizer = loaded.tokenizer
    model: Any = loaded.model
    for labelled in sorted(labels, key=lambda each: not each.wrong):
        prompt = tokenizer.encode_prompt(labelled.prompt)
        ids = list(labelled.completion_ids) or tokenizer.encode(labelled.completion)
        try:
            return golden_example(model, probe, prompt, ids[: model.spec.context_length - len(prompt)])
        except ValidationError:  # it is read nowhere in this one
            continue
    raise LabelsError(f"the probe {probe.name} is read in none of {len(labels)} completions")
