"""From labelled completions to calibrated probes, in one go."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.language_model import LanguageModel
from models.tokenizer import Tokenizer
from probes.errors import LabelsError
from probes.fitting import necessary
from probes.fitting.calibrate import calibrate
from probes.fitting.candidates import Candidate
from probes.fitting.labels import LabelledCompletion, Part
from probes.fitting.readings import Table, read
from probes.fitting.sizes import caution
from probes.fitting.state_store import StateStore
from probes.fitting.sweep import FittedProbe, SweepEntry, candidates_per_position, fit_probe
from probes.fitting.target import Target, targets
from probes.metrics.thresholds import thresholds
from probes.position import Position
from probes.probe import Probe

FITTED_ON: tuple[Part, ...] = ("fit", "validation", "calibration")
"""What a fit looks at; the test part is for the evaluation alone."""
EVERY_PART: tuple[Part, ...] = (*FITTED_ON, "test")

READ_IN_FULL = 7_000
"""Completions of the fitting part whose right steps are read too; of the others only the wrong ones are."""

ALL_LAYERS_UP_TO = 12
"""Blocks of a model of which every layer is tried."""

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows the progress of something, by name and total."""


@dataclass(frozen=True)
class FittedProbes:
    """What came of a fit. refused: why there is no probe, by name. cautions: of each probe that there is."""

    probes: tuple[FittedProbe, ...]
    refused: Mapping[str, str]
    cautions: Mapping[str, tuple[str, ...]]


def by_part(
    labels: Sequence[LabelledCompletion], wanted: Collection[Part] = EVERY_PART
) -> dict[Part, list[LabelledCompletion]]:
    """Completions by what they are used for; those that are used for nothing that is wanted are left out.

    Raises:
        LabelsError: a part is empty.
    """
    parts: dict[Part, list[LabelledCompletion]] = {part: [] for part in wanted}
    for labelled in labels:
        if labelled.part in parts:
            parts[labelled.part].append(labelled)
    if empty := [part for part, found in parts.items() if not found]:
        raise LabelsError(
            f"of {len(labels)} labelled completions none is in the part {' or '.join(empty)}; give more "
            "prompts, or set `part` in the labels"
        )
    return parts


def fit_all_probes(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    positions: Mapping[str, Position],
    labels: Sequence[LabelledCompletion],
    min_mistakes: int,
    workers: int,
    watch: Watch,
    layers: Sequence[int] | None = None,
    store: StateStore | None = None,
) -> FittedProbes:
    """Every probe that the labels allow; see `probes.fitting.target.targets`.

    Args:
        layers: which are tried; by default those of `default_layers`.
        store: where hidden states go; by default they stay in memory.

    Raises:
        LabelsError: too few labels.
    """
    layers = default_layers(model) if layers is None else layers
    parts = by_part(labels, FITTED_ON)
    about = tuple(sorted({tokenizer.phrase_id(text) for each in parts["fit"] for text in each.about}))
    tables: dict[Part, dict[str, Table]] = {
        part: _tables(model, tokenizer, positions, layers, parts[part], about, part, workers, watch, store)
        for part in parts
    }
    fitting, validation, calibration = tables["fit"], tables["validation"], tables["calibration"]
    fitted: list[FittedProbe] = []
    fittable = targets(tables, min_mistakes)
    for target in fittable.targets:
        total = candidates_per_position(layers) * len(target.positions)
        with watch(f"fitting {target.name}", total) as done:
            fitted.append(fit_probe(target, fitting, validation, calibration, workers, done, layers))
    if about and "start" in positions:
        with watch(f"fitting {necessary.NAME}", len(layers)) as done:
            fitted.append(
                _fit_necessary(
                    about, fitting["start"], validation["start"], calibration["start"], done, layers
                )
            )
    return FittedProbes(tuple(fitted), fittable.refused, _cautions(fittable.targets, tables))


def default_layers(model: LanguageModel[Any]) -> tuple[int, ...]:
    """All layers of a small model; of others layer 0 and eight at equal distances, the last included."""
    last = model.spec.n_layers
    if last <= ALL_LAYERS_UP_TO:
        return tuple(range(last + 1))
    return (0, *(round(last * step / 8) for step in range(1, 9)))


def _cautions(
    fitted: Sequence[Target], tables: Mapping[Part, Mapping[str, Table]]
) -> dict[str, tuple[str, ...]]:
    """What to say of parts that are too small to choose among candidates, or to calibrate on, by target."""
    found: dict[str, tuple[str, ...]] = {}
    for target in fitted:
        said = [
            caution(part, target.labels(table), table.group)
            for part in ("validation", "calibration")
            for table in [tables[part][target.positions[0]]]
        ]
        found[target.name] = tuple(each for each in said if each is not None)
    return found


def _tables(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    positions: Mapping[str, Position],
    layers: Sequence[int],
    labels: Sequence[LabelledCompletion],
    about: Sequence[int],
    part: Part,
    workers: int,
    watch: Watch,
    store: StateStore | None,
) -> dict[str, Table]:
    share = READ_IN_FULL / max(1, sum(each.own for each in labels))
    random = np.random.default_rng(0)
    full = {id(each) for each in labels if not each.own or part != "fit" or random.random() < share}
    with watch(f"reading the {part} part", len(labels)) as done:
        return read(
            model,
            tokenizer,
            labels,
            list(positions.values()),
            layers,
            keep=lambda labelled: id(labelled) in full,
            about=about,
            workers=workers,
            on_progress=done,
            store=store,
        )


def _fit_necessary(
    about: tuple[int, ...],
    fitting: Table,
    validation: Table,
    calibration: Table,
    done: Callable[[int], None],
    layers: Sequence[int],
) -> FittedProbe:
    """The planning probe at the layer that does best; among layers within its interval, the lowest."""
    fitting = fitting.take(fitting.own)
    fitted = [
        layer
        for chosen in layers
        for layer in necessary.fit_layers(fitting, validation, [chosen])
        if done(1) is None
    ]
    best = max(fitted, key=lambda each: each.validation.values["auroc"])
    winner = next(each for each in fitted if best.validation.minus(each.validation, "auroc").low <= 0)
    known = necessary.pairs(calibration)
    at = calibration.layers.index(winner.layer)
    logits = known.scores(necessary.units(winner.weights, calibration.hidden[:, at]))
    probe = Probe(
        name=necessary.NAME,
        position=fitting.position,
        layers=(winner.layer,),
        weight=winner.weights.weight,
        bias=winner.weights.bias,
        tokens=about,
    )
    calibration_of_pairs = calibrate(logits, known.labels, known.groups)
    return FittedProbe(
        probe=replace(probe, calibration=calibration_of_pairs),
        target=Target(necessary.NAME, necessary.MEANING, (fitting.position.name,)),
        candidate=Candidate(fitting.position.name, "logistic", (winner.layer,)),
        sweep=tuple(
            SweepEntry(
                family="logistic, a unit per token",
                layers=(each.layer,),
                position=fitting.position.name,
                signals=False,
                auroc=each.validation.metrics().auroc,
                tokens_left=float(validation.tokens_left.mean()),
                chosen=each is winner,
            )
            for each in fitted
        ),
        thresholds=thresholds((calibration_of_pairs(logits), known.labels), {}),
    )
