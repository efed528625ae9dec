"""`demur calibrate`: what is typical of a checkpoint, from which strategies take their thresholds."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.answer_scoring import AnswerMarkerOption, AnswerPatternOption, answer_score
from app.commands.failures import failing_on
from app.commands.options import MANY, CheckpointOption, require_device
from app.commands.probe_options import unescaped
from app.commands.risk_counts import count_risk, show_risk
from models.corpora.splits import Split

if TYPE_CHECKING:
    from app.decoding.calibration.calibration import Measurement, SignalCalibration, TextMeasurement
    from app.measure.calibrating import Document
    from models.checkpoint import LoadedCheckpoint
    from models.corpora.corpus import Corpus, DrawnProblem

# Of the 101 quantiles, those that a table shows.
_SHOWN = (50, 90, 95, 98, 99)


def calibrate(
    checkpoint: CheckpointOption = None,
    problems: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--problems",
            min=1,
            max=MANY,
            help="Problems to read, or texts of a model without a corpus.  [default: 1000, or 64 texts]",
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help='JSON Lines, {"prompt": "..."} each, with "completion" or "answer" where they are known.  '
            "[default: problems of the model's corpus, or else beginnings of texts that come with demur]"
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0.0, max=100.0, help="Of texts that the model writes itself.")
    ] = 1.0,
    max_tokens: Annotated[
        int, typer.Option(min=1, max=MANY, help="Most tokens of these, and of answers to prompts.")
    ] = 64,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="Text that ends these; \\n is a line break. Repeatable."),
    ] = None,
    answer_marker: AnswerMarkerOption = None,
    answer_pattern: AnswerPatternOption = None,
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
        int | None,
        typer.Option(
            min=0,
            max=MANY,
            help="Problems to answer, to count what is wrong for `abstain`.  [default: 0, or all prompts "
            "whose answer is known]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same problems, same texts.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, mps, cuda or cuda:N.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure how sure a checkpoint typically is, and store it as calibration.json in its folder.

    Texts are read token by token; of every signal the mean, the variance and the 0% to 100% quantiles are
    kept, and the entropy above which the likeliest token is more often wrong than right. Strategies such as
    entropix and adadec take thresholds from it that a request leaves out. It is good for these very weights:
    train on, and calibrate again.

    Of a model of a corpus the texts are reference solutions of problems. Any other model reads the
    completions that --prompts brings, or writes its own, to these prompts or to some that come with demur.
    Take prompts like those that it is to serve.

    With --risk-problems, problems of the calibration split are answered greedily too, or prompts whose answer
    is known, and wrong answers are counted by scores of doubt: entropy, surprisal and the installed probes.
    The strategy abstain needs that.
    """
    from app.commands.calibration_texts import (
        DEFAULT_TEXTS,
        Sampling,
        count_given_risk,
        measure_texts,
        read_calibration_prompts,
    )
    from app.decoding.calibration.calibration import write_calibration
    from app.errors import DemurError
    from app.settings import EMBEDDED_CHECKPOINT
    from models import checkpoint as checkpoints
    from models.corpora.registry import corpus_of
    from models.errors import ModelsError
    from probes.errors import ProbesError

    with failing_on(DemurError, ModelsError, ProbesError):
        folder = checkpoint if checkpoint is not None else EMBEDDED_CHECKPOINT
        loaded = checkpoints.load(folder, require_device(device))
        corpus = corpus_of(loaded.card)
        if corpus is not None and prompts is None:
            ops = range(op_min or corpus.sizes.min, (op_max or corpus.sizes.trained_max) + 1)
            measured = _measure(loaded, corpus, ops, split, problems or 1000, seed)
            risk = count_risk(loaded, corpus, ops, risk_problems, seed) if risk_problems else None
        else:
            score = answer_score(answer_marker, answer_pattern)
            given = read_calibration_prompts(prompts)
            sampling = Sampling(temperature, max_tokens, tuple(map(unescaped, stop or ())), seed)
            measured = measure_texts(loaded, given, problems or max(DEFAULT_TEXTS, len(given)), sampling)
            risk = count_given_risk(loaded, given, risk_problems, sampling, score)
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


def _texts(measurement: "Measurement | TextMeasurement") -> str:
    """What was read, in words."""
    from app.decoding.calibration.calibration import Measurement

    if isinstance(measurement, Measurement):
        return f"{measurement.problems} reference solutions"
    own = "" if measurement.given else " of its own"
    return f"{measurement.texts} texts{own}"


def _show(measured: "SignalCalibration") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{measured.tokens} tokens of {_texts(measured.measurement)}")
    for heading in ("signal", "mean", *(f"{percent}%" for percent in _SHOWN)):
        table.add_column(heading, justify="left" if heading == "signal" else "right", no_wrap=True)
    for name, summary in measured.signals.items():
        shown = (summary.mean, *(summary.quantile(percent) for percent in _SHOWN))
        table.add_row(name, *(f"{value:.2g}" for value in shown))
    console = Console(highlight=False)
    console.print(table)
    learned = measured.adadec
    share = f"{learned.wrong} of {learned.tokens} likeliest tokens are not the text's"
    if learned.threshold is None:
        console.print(f"{share}; entropy does not tell which, so adadec gets no threshold.")
    else:
        console.print(f"{share}; above an entropy of {learned.threshold:.4g} nats, most are not (adadec).")
    if measured.risk is not None:
        show_risk(measured.risk, console)
