"""Do probes fitted on shuffled labels find mistakes, or is one shuffle just far from 0.5 by chance?

Mistakes lie together in the space of hidden states, so a probe of noise, which is a random direction there,
orders them all before or all after the right steps: a single shuffle says little, the mean over many is what
has to be 0.5. Fitted on part of the fitting labels, measured on the validation part, trained ops.

    python benchmarks/probe_shuffles.py [RUN] [--shuffles 40] [--rows 20000]
"""

from dataclasses import replace
from typing import Annotated

import numpy as np
import typer
from probe_run import CHECKPOINT, RUN, CheckpointOption, FullOption, RunArgument, read_parts
from rich.console import Console
from rich.progress import track
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score


def main(
    run: RunArgument = RUN,
    checkpoint: CheckpointOption = CHECKPOINT,
    full: FullOption = 3000,
    shuffles: Annotated[int, typer.Option(min=2, help="Probes fitted on shuffled labels.")] = 40,
    rows: Annotated[int, typer.Option(min=100, help="Rows that each is fitted on.")] = 20_000,
) -> None:
    """Print the AUROC of a probe on true labels, and mean, spread and interval of those on shuffled ones."""
    readings = read_parts(run, checkpoint, full)
    candidate = replace(readings.candidate, combiner="none")
    generator = np.random.default_rng(0)
    chosen = generator.permutation(len(readings.known))[:rows]
    known = readings.known.take(np.isin(np.arange(len(readings.known)), chosen))
    held_out = readings.held_out.take(readings.held_out.domain == "id")

    def auroc(labels: np.ndarray) -> float:
        return float(roc_auc_score(held_out.wrong, candidate.scores(candidate.fit(known, labels), held_out)))

    true = auroc(known.wrong)
    noise = np.array(
        [auroc(generator.permutation(known.wrong)) for _ in track(range(shuffles), "fitting on noise")]
    )
    interval = ttest_1samp(noise, 0.5).confidence_interval()
    Console().print(
        f"{held_out.wrong.sum()} mistakes among {len(held_out):,} steps of trained ops; "
        f"fitted on {len(known):,} rows.\n"
        f"true labels: AUROC {true:.3f}\n"
        f"shuffled labels, {shuffles} times: mean {noise.mean():.3f} "
        f"({interval.low:.3f} to {interval.high:.3f}), standard deviation {noise.std(ddof=1):.3f}, "
        f"from {noise.min():.3f} to {noise.max():.3f}"
    )


if __name__ == "__main__":
    typer.run(main)
