"""Small probes with random weights, one of each family, for models of tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.checkpoint import LoadedCheckpoint
from probes.arrays import Floats
from probes.card import Threshold, golden_example, probe_card
from probes.inputs import FEATURES
from probes.position import Position
from probes.probe import Calibration, Probe
from probes.store import save

PLATT = Calibration(slope=0.8, intercept=-0.3)
ISOTONIC = Calibration("isotonic", knots=((-4.0, 0.02), (-1.0, 0.2), (0.5, 0.6), (4.0, 0.97)))


def positions(closing: Sequence[int], markers: Sequence[int]) -> dict[str, Position]:
    """A position of every kind."""
    ends = tuple(closing)
    return {
        "prompt": Position("question", "prompt", ends),
        "start": Position("before the step", "read", ends),
        "second": Position("second token", "read", ends, read=1),
        "marker": Position("marker", "marker", ends, markers=tuple(markers)),
        "close": Position("end of the step", "close", ends),
        "every": Position("every token", "every", ends),
    }


def random_probe(
    name: str, position: Position, layers: Sequence[int], d_model: int, hidden_units: int = 0, **fields: Any
) -> Probe:
    """A probe whose logits spread over a few units for hidden states of unit scale."""
    generator = np.random.default_rng(list(name.encode()))
    inputs = len(layers) * d_model + (len(FEATURES) if fields.get("signals") else 0)
    units = hidden_units or len(fields.get("tokens", ())) or 1
    return Probe(
        name=name,
        position=position,
        layers=tuple(layers),
        weight=_float32(generator.normal(size=(units, inputs)) / np.sqrt(inputs)),
        bias=_float32(generator.normal(size=units)),
        out_weight=_float32(generator.normal(size=hidden_units) / np.sqrt(hidden_units or 1)),
        out_bias=0.25 if hidden_units else 0.0,
        **fields,
    )


def every_family(
    closing: Sequence[int], markers: Sequence[int], tokens: Sequence[int], d_model: int, last: int
) -> list[Probe]:
    """Probes of all families at all positions; `last` is the model's last layer."""
    at = positions(closing, markers)
    return [
        random_probe("linear", at["close"], [last], d_model, calibration=PLATT),
        random_probe("with_signals", at["close"], [1, last], d_model, signals=True, calibration=ISOTONIC),
        random_probe("pooled", at["marker"], [last], d_model, pooling="mean", calibration=PLATT),
        random_probe("pooled_every", at["every"], [0], d_model, pooling="mean", signals=True),
        random_probe("network", at["second"], [1], d_model, hidden_units=5, calibration=PLATT),
        random_probe(
            "pooled_network", at["close"], [1], d_model, hidden_units=3, pooling="mean", signals=True
        ),
        random_probe("by_token", at["start"], [last], d_model, tokens=tuple(tokens), calibration=PLATT),
        random_probe("by_token_everywhere", at["every"], [1], d_model, tokens=tuple(tokens), signals=True),
        random_probe("answer", at["prompt"], [0, last], d_model, signals=True),
        random_probe("only_signals", at["close"], [], d_model, signals=True, calibration=PLATT),
    ]


def _float32(values: Floats) -> Floats:
    """Values that a file of float32 holds exactly."""
    return values.astype(np.float32).astype(np.float64)


def store_probes(
    folder: Path, probes: Sequence[Probe], checkpoint: LoadedCheckpoint, completion_ids: Sequence[int]
) -> None:
    """Save probes with cards that say what is needed to load them, and a golden example."""
    for probe in probes:
        golden = golden_example(checkpoint.model, probe, completion_ids[:3], completion_ids)
        card = probe_card(
            probe,
            checkpoint,
            positive="nothing: its weights are random",
            family="random",
            thresholds=[Threshold(purpose="alarm", false_alarm_rate=0.05, threshold=0.7, recall=0.5)],
            evidence={"auroc": {"value": 0.5, "interval": [0.4, 0.6]}, "seed": 0},
            licence="Apache-2.0",
            golden=golden,
        )
        save(folder, probe, card)
