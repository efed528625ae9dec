"""`demur calibrate`: what is typical of a checkpoint, from which strategies take their thresholds."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.corpus_spec import require_corpus
from app.commands.failures import failing_on
from app.commands.options import MANY, CheckpointOption, require_device
from app.commands.risk_counts import count_risk, show_risk
from models.corpora.splits import Split

if TYPE_CHECKING:
    from app.decoding.calibration.calibration import SignalCalibration
    from app.measure.calibrating import Document
    from models.checkpoint import LoadedCheckpoint
    from models.corpora.corpus import Corpus, DrawnProblem

# Of the 101 quantiles, those that a table shows.
_SHOWN = (50, 90, 95, 98, 99)


def calibrate(
    checkpoint: CheckpointOption = None,
    problems: Annotated[
        int, typer.Option("-n", "--problems", min=1, max=MANY, help="Problems to read.")
    ] = 1000,
    split: Annotated[
        Split, typer.Option(help="Which split the problems come from; no two share a solution template.")
    ] = "validation",
    op_min: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Smallest op, how many quantities an answer needs.  [default: that of the training]",
        ),
    ] = None,
    op_max: Annotated[
        int | None, typer.Option(min=1, help="Largest op.  [default: that of the training]")
    ] = None,
    risk_problems: Annotated[
        int, typer.Option(min=0, max=MANY, help="Problems to answer, to count what is wrong for `abstain`.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Same seed, same problems.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, mps, cuda or cuda:N.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure how sure a checkpoint typically is, and store it as calibration.json in its folder.

    The reference solutions of problems are read token by token; of every signal the mean, the variance and
    the 0% to 100% quantiles are kept, and the entropy above which the likeliest token is more often wrong
    than right. Strategies such as entropix and adadec take thresholds from it that a request leaves out. It
    is good for these very weights: train on, and calibrate again.

    With --risk-problems, problems of the calibration split are answered greedily too, and wrong answers are
    counted by scores of doubt: entropy, surprisal and the installed probes. The strategy abstain needs that.
    """
    from app.decoding.calibration.calibration import write_calibration
    from app.errors import DemurError
    from app.settings import EMBEDDED_CHECKPOINT
    from models import checkpoint as checkpoints
    from models.errors import ModelsError
    from probes.errors import ProbesError

    with failing_on(DemurError, ModelsError, ProbesError):
        folder = checkpoint if checkpoint is not None else EMBEDDED_CHECKPOINT
        loaded = checkpoints.load(folder, require_device(device))
        corpus = require_corpus(
            loaded,
            "can be calibrated on it. Give the strategies of other models their thresholds in the request",
        )
        ops = range(op_min or corpus.sizes.min, (op_max or corpus.sizes.trained_max) + 1)
        measured = _measure(loaded, corpus, ops, split, problems, seed)
        if risk_problems:
            risk = count_risk(loaded, corpus, ops, risk_problems, seed)
            measured = measured.model_copy(update={"risk": risk})
        path = write_calibration(loaded.path, measured)
    if as_json:
        typer.echo(measured.model_dump_json(indent=2))
    else:
        _show(measured)
    typer.echo(f"wrote {path}", err=True)


def _measure(
    loaded: "LoadedCheckpoint", corpus: "Corpus", ops: range, split: Split, count: int, seed: int
) -> "SignalCalibration":
    from rich.console import Console
    from rich.progress import Progress

    from app.decoding.calibration.calibration import Measurement
    from app.engine.engine import Engine
    from app.engine.types import EngineLimits
    from app.measure import calibrating
    from models.corpora.drawing import problems
    from models.errors import SpecError

    if not ops:
        raise SpecError(
            f"--op-min is {ops.start} and --op-max {ops.stop - 1}; the one may not exceed the other"
        )
    documents = (_document(loaded, problem) for problem in islice(problems(corpus, split, seed, ops), count))
    with (
        Engine(loaded, EngineLimits(max_rows=1)) as engine,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("reading", total=count)
        readings = calibrating.read_documents(engine, documents, lambda: progress.advance(task))
    measurement = Measurement(
        corpus=corpus.name, split=split, problems=count, op_min=ops.start, op_max=ops.stop - 1, seed=seed
    )
    return calibrating.calibrate(readings, measurement, loaded.identity)


def _document(loaded: "LoadedCheckpoint", problem: "DrawnProblem") -> "Document":
    """A problem and its reference solution, from what stands before it to the end token."""
    from app.measure.calibrating import Document

    tokenizer, end = loaded.tokenizer, loaded.model.spec.end_token_id
    solution = tokenizer.encode("".join(problem.solution_phrases))
    return Document(
        prompt_ids=tuple(tokenizer.encode_prompt(problem.prompt)),
        completion_ids=(*solution, *(() if end is None else (end,))),
    )


def _show(measured: "SignalCalibration") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{measured.tokens} tokens of {measured.measurement.problems} reference solutions")
    for heading in ("signal", "mean", *(f"{percent}%" for percent in _SHOWN)):
        table.add_column(heading, justify="left" if heading == "signal" else "right", no_wrap=True)
    for name, summary in measured.signals.items():
        shown = (summary.mean, *(summary.quantile(percent) for percent in _SHOWN))
        table.add_row(name, *(f"{value:.2g}" for value in shown))
    console = Console(highlight=False)
    console.print(table)
    learned = measured.adadec
    share = f"{learned.wrong} of {learned.tokens} likeliest tokens are not the reference's"
    if learned.threshold is None:
        console.print(f"{share}; entropy does not tell which, so adadec gets no threshold.")
    else:
        console.print(f"{share}; above an entropy of {learned.threshold:.4g} nats, most are not (adadec).")
    if measured.risk is not None:
        show_risk(measured.risk, console)
