"""What the questions about `step_error` share: labels of a fit, read at the end of each step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from app.settings import EMBEDDED_CHECKPOINT
from models.checkpoint import load
from probes.fitting.candidates import Candidate
from probes.fitting.labels import read_labels
from probes.fitting.readings import Table, read
from probes.fitting.workflow import FITTED_ON, by_part
from probes.position import standard_positions

RUN = Path("runs/probes/igsm")
RunArgument = Annotated[Path, typer.Argument(help="Folder of a `demur probe fit`, which has the labels.")]
CheckpointOption = Annotated[Path, typer.Option(help="The checkpoint that wrote the labels.")]
FullOption = Annotated[int, typer.Option(help="Completions whose right steps are read too.")]
CHECKPOINT = EMBEDDED_CHECKPOINT


@dataclass(frozen=True)
class Readings:
    """The fitting and the validation part, and the richest candidate that could be fitted on them."""

    known: Table
    held_out: Table
    candidate: Candidate


def read_parts(run: Path, checkpoint: Path, full: int) -> Readings:
    """Read the ends of steps; of the fitting part, right steps of `full` completions only."""
    loaded = load(checkpoint)
    positions = standard_positions(loaded.tokenizer, (".", "\n"), (" =",), loaded.model.spec.end_token_ids)
    labels = [each for path in sorted((run / "labels").glob("*.jsonl")) for each in read_labels(path)]
    parts = by_part(labels, FITTED_ON)
    layers = tuple(range(1, loaded.model.spec.n_layers + 1))
    order = np.random.default_rng(0).permutation(len(parts["fit"]))
    kept = {id(parts["fit"][index]) for index in order[:full]}

    def table(name: str) -> Table:
        part = parts[name]  # pyright: ignore[reportArgumentType]
        with Console(stderr=True).status(f"reading the {name} part"):
            return read(
                loaded.model, loaded.tokenizer, part, [positions["end"]], layers,
                keep=lambda each: name != "fit" or not each.own or id(each) in kept,
            )["end"]  # fmt: skip

    candidate = Candidate("end", "logistic", layers, "hidden_layer", "mean")
    return Readings(table("fit"), table("validation"), candidate)
