"""A picture of a run's log: loss, and accuracy by op, against tokens."""

import csv
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure


def plot_log(folder: Path, target: Path) -> None:
    """Draw `loss.csv` and `validation.csv` of a run into one PNG or SVG file."""
    loss, validation = _columns(folder / "loss.csv"), _columns(folder / "validation.csv")
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)

    left.plot([tokens / 1e6 for tokens in loss["tokens"]], loss["solution_loss"], linewidth=0.8)
    left.set(yscale="log", xlabel="tokens (millions)", ylabel="loss on solutions (nats per token)")
    left.grid(visible=True, which="both", alpha=0.3)
    rate = left.twinx()
    rate.plot(
        [tokens / 1e6 for tokens in loss["tokens"]], loss["rate_factor"], color="tab:grey", linewidth=0.8
    )
    rate.set(ylabel="learning rate / peak", ylim=(0, 1.05))

    for op in sorted(set(validation["op"])):
        points = [
            (tokens / 1e6, correct / problems)
            for tokens, row_op, problems, correct in zip(
                validation["tokens"],
                validation["op"],
                validation["problems"],
                validation["correct"],
                strict=True,
            )
            if row_op == op
        ]
        right.plot(*zip(*points, strict=True), marker=".", label=f"op {op:.0f}")
    right.set(xlabel="tokens (millions)", ylabel="whole solutions correct (validation)", ylim=(-0.02, 1.02))
    right.grid(visible=True, alpha=0.3)
    right.legend(ncols=2, fontsize="small")
    figure.savefig(target, dpi=110)


def _columns(path: Path) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                columns[name].append(float(value))
    return columns
