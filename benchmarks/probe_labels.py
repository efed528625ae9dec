"""Would more labels make `step_error` better, and which mistakes does it miss?

Fits the richest candidate on growing shares of the fitting part's completions and measures it on the
validation part: all mistakes of trained ops, and each kind of them against the right steps.

    python benchmarks/probe_labels.py [RUN] [--shares 0.1 0.3 1]

RUN is the folder of a `demur probe fit`, which has the labels.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table as Shown

from app.settings import EMBEDDED_CHECKPOINT
from models.checkpoint import load
from probes.candidates import Candidate
from probes.labels import read_labels
from probes.metrics import resample
from probes.position import standard_positions
from probes.readings import Table, read
from probes.workflow import by_part

KINDS = ("any", "unnecessary", "not_ready", "syntax")


def rows_of(table: Table, kind: str) -> np.ndarray:
    """Right steps of trained ops, and their mistakes of one kind."""
    wanted = table.wrong if kind == "any" else table.kind == kind
    return (table.domain == "id") & (wanted | ~table.wrong)


def main(
    run: Annotated[Path, typer.Argument(help="Folder of a `demur probe fit`.")] = Path("runs/probes/igsm"),
    checkpoint: Annotated[
        Path, typer.Option(help="The checkpoint that wrote the labels.")
    ] = EMBEDDED_CHECKPOINT,
    shares: Annotated[list[float], typer.Option(help="Of the fitting part.")] = [0.1, 0.3, 1.0],  # noqa: B006
    full: Annotated[int, typer.Option(help="Completions whose right steps are read too.")] = 7000,
) -> None:
    """Print AUROC and recall at 5% false alarms per share and kind of mistake."""
    loaded = load(checkpoint)
    positions = standard_positions(loaded.tokenizer, (".", "\n"), (" =",), loaded.model.spec.end_token_id)
    end = positions["end"]
    parts = by_part([each for path in sorted((run / "labels").glob("*.jsonl")) for each in read_labels(path)])
    layers = tuple(range(1, loaded.model.spec.n_layers + 1))
    generator = np.random.default_rng(0)
    fitting = parts["fit"]
    order = generator.permutation(len(fitting))
    kept = {id(fitting[index]) for index in order[:full]}

    def table(name: str) -> Table:
        labels = parts[name]  # pyright: ignore[reportArgumentType]
        with Console(stderr=True).status(f"reading the {name} part"):
            return read(
                loaded.model, loaded.tokenizer, labels, [end], layers,
                keep=lambda each: name != "fit" or not each.own or id(each) in kept,
            )["end"]  # fmt: skip

    known, held_out = table("fit"), table("validation")
    rank = {
        group: place for place, group in enumerate(generator.permutation(np.unique(known.group)).tolist())
    }
    places = np.array([rank[group] for group in known.group.tolist()]) / len(rank)
    candidate = Candidate("end", "logistic", layers, "hidden_layer", "mean")
    shown = Shown(title="step_error on the validation part, trained ops")
    for heading in ("share", "mistakes", "kind", "of", "AUROC", "recall at 5%"):
        shown.add_column(heading, justify="right")
    for share in track(shares, "fitting"):
        some = known.take(places < share)
        weights = candidate.fit(some, some.wrong)
        scores = candidate.scores(weights, held_out)
        for kind in KINDS:
            rows = rows_of(held_out, kind)
            found = resample(
                scores[rows], held_out.wrong[rows], held_out.group[rows], resamples=300
            ).metrics()
            cells = [
                f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
                for each in (found.auroc, found.recall_at_5)
            ]
            mistakes = int((some.wrong & some.own).sum())
            shown.add_row(f"{share:g}", f"{mistakes:,}", kind, str(int(held_out.wrong[rows].sum())), *cells)
    Console().print(shown)


if __name__ == "__main__":
    typer.run(main)
