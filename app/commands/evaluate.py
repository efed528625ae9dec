"""`demur evaluate`: how many problems a checkpoint solves, by op, with intervals and a baseline."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.corpus_spec import require_corpus
from app.commands.failures import failing_on
from app.commands.options import MANY, CheckpointOption, require_device
from models.corpora.splits import Split

if TYPE_CHECKING:
    from models.checkpoint import LoadedCheckpoint
    from models.corpora.corpus import Corpus, Sizes
    from models.evaluate import OpResult


def evaluate(
    checkpoint: CheckpointOption = None,
    split: Annotated[
        Split, typer.Option(help="Which split the problems come from; no two share a solution template.")
    ] = "test",
    problems: Annotated[
        int, typer.Option("-n", "--problems", min=1, max=MANY, help="Problems per op.")
    ] = 1000,
    op_min: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Smallest op, how many quantities an answer needs.  [default: that of the training]",
        ),
    ] = None,
    op_max: Annotated[
        int | None, typer.Option(min=1, help="Largest op.  [default: 4 beyond the training]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same problems.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, mps, cuda or cuda:N.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    write_card: Annotated[
        bool, typer.Option("--write-card", help="Store the result in the checkpoint's card.json.")
    ] = False,
) -> None:
    """Solve problems greedily and judge every step.

    A problem counts as solved when all steps of the solution and its answer are right. Intervals are
    Wilson's, at 95%. The majority baseline always answers the commonest answer of the same problems.
    """
    from app.errors import DemurError
    from app.settings import EMBEDDED_CHECKPOINT
    from models import checkpoint as checkpoints
    from models.errors import ModelsError

    with failing_on(DemurError, ModelsError):
        folder = checkpoint if checkpoint is not None else EMBEDDED_CHECKPOINT
        loaded = checkpoints.load(folder, require_device(device))
        corpus = require_corpus(loaded, "can be evaluated on it")
        last = op_max if op_max is not None else corpus.sizes.max
        ops = range(op_min if op_min is not None else corpus.sizes.min, last + 1)
        results = _measure(loaded, corpus, split, ops, problems, seed)
        report = {
            "split": split,
            "seed": seed,
            "decoding": "greedy",
            "problems_per_op": problems,
            "ops": [_with_intervals(result) for result in results],
        }
        if write_card:
            card = {**loaded.card, "evaluation": report}
            checkpoints.write_json(loaded.path / checkpoints.CARD_FILE, card)
    if as_json:
        import json

        typer.echo(json.dumps(report, indent=2))
    else:
        _print_table(results, corpus.sizes, loaded)


def _measure(
    loaded: "LoadedCheckpoint", corpus: "Corpus", split: Split, ops: range, count: int, seed: int
) -> list["OpResult"]:
    from rich.console import Console
    from rich.progress import Progress

    from models.corpora.drawing import draw_set
    from models.evaluate import evaluate as solve

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("solving", total=count * len(ops))
        return [
            solve(
                loaded.model,
                loaded.tokenizer,
                corpus,
                draw_set(corpus, split, op, count, seed),
                on_batch=lambda done: progress.advance(task, done),
            )
            for op in ops
        ]


def _with_intervals(result: "OpResult") -> dict[str, Any]:
    from app.compare.statistics import wilson

    low, high = wilson(result.solved, result.problems)
    return {
        "op": result.op,
        "problems": result.problems,
        "solved": result.solved,
        "accuracy": result.solved / result.problems,
        "interval_95": [round(low, 4), round(high, 4)],
        "answer_right": result.answered,
        "majority_answer": result.majority,
        "first_errors": result.first_errors,
    }


def _print_table(results: list["OpResult"], sizes: "Sizes", loaded: "LoadedCheckpoint") -> None:
    from rich.console import Console
    from rich.table import Table

    from app.compare.statistics import wilson

    table = Table(title=f"{loaded.model.spec.name}: whole solutions correct, greedy")
    for heading in (sizes.name, "solved", "95% interval", "answer right", "majority answer", "n"):
        table.add_column(heading, justify="right")
    table.add_column("first mistakes")
    for result in results:
        low, high = wilson(result.solved, result.problems)
        table.add_row(
            str(result.op) + ("" if result.op <= sizes.trained_max else " *"),
            f"{result.solved / result.problems:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{result.answered / result.problems:.1%}",
            f"{result.majority / result.problems:.1%}",
            str(result.problems),
            ", ".join(f"{kind} {count}" for kind, count in result.first_errors.items()),
        )
    console = Console()
    console.print(table)
    if any(result.op > sizes.trained_max for result in results):
        console.print("* larger than any problem of the training")
