"""From labelled completions to calibrated probes, in one go."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
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

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows the progress of something, by name and total."""


def by_part(
    labels: Sequence[LabelledCompletion], wanted: Collection[Part] = EVERY_PART
) -> dict[Part, list[LabelledCompletion]]:
    """Completions by what they are used for; those that are used for nothing that is wanted are left out.

    Raises:
        LabelsError: a part is empty.
    """
    parts: dict[Part, list[LabelledCompletion]] = {part: [] for part in wanted}
    for labelled in labels:
        if labelled.assigned in parts:
            parts[labelled.assigned].append(labelled)
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
) -> list[FittedProbe]:
    """Every probe that the labels allow; see `probes.fitting.target.targets`.

    Raises:
        LabelsError: too few labels.
    """
    parts = by_part(labels, FITTED_ON)
    about = tuple(sorted({tokenizer.phrase_id(text) for each in parts["fit"] for text in each.about}))
    tables = {
        part: _tables(model, tokenizer, positions, parts[part], about, part, workers, watch) for part in parts
    }
    fitting, validation, calibration = tables["fit"], tables["validation"], tables["calibration"]
    fitted: list[FittedProbe] = []
    for target in targets(tables, min_mistakes):
        total = candidates_per_position(range(model.spec.n_layers + 1)) * len(target.positions)
        with watch(f"fitting {target.name}", total) as done:
            fitted.append(fit_probe(target, fitting, validation, calibration, workers, done))
    if about:
        with watch(f"fitting {necessary.NAME}", model.spec.n_layers + 1) as done:
            fitted.append(
                _fit_necessary(about, fitting["start"], validation["start"], calibration["start"], done)
            )
    return fitted


def _tables(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    positions: Mapping[str, Position],
    labels: Sequence[LabelledCompletion],
    about: Sequence[int],
    part: Part,
    workers: int,
    watch: Watch,
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
            range(model.spec.n_layers + 1),
            keep=lambda labelled: id(labelled) in full,
            about=about,
            workers=workers,
            on_progress=done,
        )


def _fit_necessary(
    about: tuple[int, ...], fitting: Table, validation: Table, calibration: Table, done: Callable[[int], None]
) -> FittedProbe:
    """The planning probe at the layer that does best; among layers within its interval, the lowest."""
    fitting = fitting.take(fitting.own)
    layers = [
        layer
        for chosen in fitting.layers
        for layer in necessary.fit_layers(fitting, validation, [chosen])
        if done(1) is None
    ]
    best = max(layers, key=lambda each: each.validation.values["auroc"])
    winner = next(each for each in layers if best.validation.minus(each.validation, "auroc").low <= 0)
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
            for each in layers
        ),
        thresholds=thresholds((calibration_of_pairs(logits), known.labels), {}),
    )
