"""Which parts of the pretraining recipe matter? Short runs, each with one part changed.

Every variant trains on the same data from the same seed and lowers its learning rate to zero over the
last half, so its last losses are comparable. Results are stored after each variant; a second call goes on
where the first stopped. One seed a variant: differences of a few per cent mean nothing.

    python benchmarks/pretraining_recipe.py docs/pretraining [--tokens 0.5] [--threads 1]
"""

import argparse
import csv
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.corpora.registry import corpus_named
from models.pretrain import Observer, pretrain
from models.training.config import PretrainConfig
from models.training.initialise import STRUCTURES
from models.training.log import LossRow


def variants(base: PretrainConfig) -> dict[str, PretrainConfig]:
    """Name of a change to the config with that change."""

    def changed(**values: Any) -> PretrainConfig:
        return dataclasses.replace(base, **values)

    def without(*names: str) -> PretrainConfig:
        return changed(structures=tuple(name for name in STRUCTURES if name not in names))

    return {
        "the recipe": base,
        "GPT-2's initial weights": without(*STRUCTURES),
        "without `forms`": without("forms"),
        "without `notes`": without("notes"),
        "without `matches`": without("matches"),
        "without `quiet`": without("quiet"),
        "rotary base 10,000": changed(rotary_base=1e4),
        "learned positions": changed(positions="learned"),
        "Muon at 0.02": changed(muon_rate=0.02),
        "Muon at 0.005": changed(muon_rate=0.005),
        "prompt weight 1": changed(prompt_weight=1.0),
        "4 layers": changed(n_layers=4),
        "40 nouns": changed(corpus=corpus_named("igsm", {"nouns": 40})),
    }


def losses(config: PretrainConfig) -> list[LossRow]:
    """The loss curve of a run."""
    rows: list[LossRow] = []
    with tempfile.TemporaryDirectory() as folder:
        pretrain(config, Path(folder), "cpu", observer=Observer(stepped=rows.append))
    return rows


def main() -> None:
    """Run what is missing, then draw and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", help="results go to TARGET-recipe.csv and TARGET-recipe.png")
    parser.add_argument("--tokens", type=float, default=0.5, help="million tokens per variant")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tokens = round(arguments.tokens * 1e6)
    base = PretrainConfig(
        tokens=tokens, decay_tokens=tokens // 2, validate_tokens=10 * tokens, validate_problems=1
    )
    table_file = Path(f"{arguments.target}-recipe.csv")
    done = read(table_file)
    with Progress(console=Console(stderr=True)) as progress:
        todo = {name: config for name, config in variants(base).items() if name not in done}
        task = progress.add_task("variants", total=len(todo))
        for name, config in todo.items():
            progress.update(task, description=name)
            done[name] = [(row.tokens, row.solution_loss) for row in losses(config)]
            write(table_file, done)
            progress.advance(task)
    draw(Path(f"{arguments.target}-recipe.png"), done)
    report(done)


def read(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Curves by variant from an earlier call."""
    curves: dict[str, list[tuple[int, float]]] = {}
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                curves.setdefault(row["variant"], []).append(
                    (int(row["tokens"]), float(row["solution_loss"]))
                )
    return curves


def write(path: Path, curves: dict[str, list[tuple[int, float]]]) -> None:
    """Store all curves."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("variant", "tokens", "solution_loss"))
        for name, points in curves.items():
            writer.writerows((name, tokens, f"{loss:.4f}") for tokens, loss in points)


def draw(path: Path, curves: dict[str, list[tuple[int, float]]]) -> None:
    """Plot all curves."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for index, (name, points) in enumerate(curves.items()):
        axes.plot(
            [tokens / 1e6 for tokens, _ in points],
            [loss for _, loss in points],
            label=name,
            linewidth=2.5 if index == 0 else 1.0,
            color="black" if index == 0 else f"C{index % 10}",
            linestyle="-" if index <= 10 else "--",
        )
    axes.set(yscale="log", xlabel="tokens (millions)", ylabel="loss on solutions (nats per token)")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize="small", ncols=2)
    figure.savefig(path, dpi=110)


def report(curves: dict[str, list[tuple[int, float]]]) -> None:
    """Print the last row of each variant: its mean loss since the row before."""
    table = Table(title="loss on solutions at the end, nats per token")
    for heading in ("variant", "loss", "ratio to the recipe"):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    ends = {name: points[-1][1] for name, points in curves.items()}
    for name, end in ends.items():
        table.add_row(name, f"{end:.3f}", f"{end / ends['the recipe']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
