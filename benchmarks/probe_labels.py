"""Would more labels make `step_error` better, and which mistakes does it miss?

Fits the richest candidate on growing shares of the fitting part's completions and measures it on the
validation part: all mistakes of trained ops, and each kind of them against the right steps.

    python benchmarks/probe_labels.py [RUN] [--shares 0.1 0.3 1]

RUN is the folder of a `demur probe fit`, which has the labels.
"""

from typing import Annotated

import numpy as np
import typer
from probe_run import CHECKPOINT, RUN, CheckpointOption, FullOption, RunArgument, read_parts
from rich.console import Console
from rich.progress import track
from rich.table import Table as Shown

from probes.fitting.readings import Table
from probes.metrics.resampling import resample

KINDS = ("any", "unnecessary", "not_ready", "syntax")


def rows_of(table: Table, kind: str) -> np.ndarray:
    """Right steps of trained ops, and their mistakes of one kind."""
    wanted = table.wrong if kind == "any" else table.kind == kind
    return (table.domain == "id") & (wanted | ~table.wrong)


def main(
    run: RunArgument = RUN,
    checkpoint: CheckpointOption = CHECKPOINT,
    shares: Annotated[list[float], typer.Option(help="Of the fitting part.")] = [0.1, 0.3, 1.0],  # noqa: B006
    full: FullOption = 7000,
) -> None:
    """Print AUROC and recall at 5% false alarms per share and kind of mistake."""
    readings = read_parts(run, checkpoint, full)
    known, held_out, candidate = readings.known, readings.held_out, readings.candidate
    groups = np.random.default_rng(1).permutation(np.unique(known.group))
    rank = {group: place for place, group in enumerate(groups.tolist())}
    places = np.array([rank[group] for group in known.group.tolist()]) / len(rank)
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
