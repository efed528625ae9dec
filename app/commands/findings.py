"""`demur findings`: claims about language models, each as an experiment that could have failed."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.checkout import last_change
from app.commands.command_line import CommandLine
from app.commands.failures import failing_on
from app.commands.findings_progress import watching
from app.commands.options import require_device
from app.commands.stopping import stop_signals

if TYPE_CHECKING:
    from app.findings.finding import Finding, Size
    from app.findings.published import Fixed
    from app.findings.running import Results

app = CommandLine(
    "findings",
    "Claims about language models, each as an experiment that could have failed (docs/findings/README.md): "
    "list them, run one, say what came of all.",
)

OutOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of what is published.  [default: that of this code, docs/findings in a checkout]"
    ),
]


@app.command(name="list")
def list_all(out: OutOption = None) -> None:
    """List the findings with what came of each."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from app.findings.concluding import conclude
    from app.findings.published import published_folder, read_raw
    from app.findings.registry import FINDINGS
    from models.errors import ModelsError

    folder = out or published_folder()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "claim", "verdict", "stages done"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    with failing_on(ModelsError):
        for name, finding in FINDINGS.items():
            made = conclude(finding, read_raw(folder, name), None)
            done = f"{made.stages_done} of {made.stages}" if made.stages else "cannot be run yet"
            table.add_row(*(Text(cell) for cell in (name, made.claim, made.verdict, done)))
    Console(highlight=False).print(table)


@app.command()
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A finding; `demur findings list` has them.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="In minutes and too small to say anything: shows that it runs.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="How many, from 0 on; a verdict needs two.")] = 2,
    out: OutOption = None,
    state: Annotated[
        Path, typer.Option(help="Folder of all that is under way; it can grow to hundreds of megabytes.")
    ] = Path("runs/findings"),
    minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Stop after so many; the same command goes on.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where networks are trained: auto, cpu or cuda.")] = "auto",
) -> None:
    """Run a finding, or go on with it where it was stopped, and publish what came.

    Stages that have been published are not run again, and seeds that were stay. A kill costs at most a
    minute's work.
    """
    from app.errors import DemurError
    from app.findings.finding import Stopped
    from app.findings.published import published_folder, read_raw
    from app.findings.running import adopt, kept, tasks_of
    from app.findings.running import run as run_stages
    from models.errors import ModelsError, SpecError
    from probes.errors import ProbesError

    with failing_on(DemurError, ModelsError, ProbesError):
        finding = _finding(name)
        size: Size = "quick" if quick else "full"
        tasks_of(finding, size, [0], state)  # before anything is made: it may be one that cannot be run
        if device != "auto":
            require_device(device)
        _usable(state, "--state")
        folder = out or (None if quick else published_folder())
        numbers = set(range(seeds))
        if folder is not None:
            _usable(folder, "--out")
            raw = read_raw(folder, name)
            if raw is not None and raw.size != size:
                raise SpecError(
                    f"{folder} has results of a {raw.size} run of {name}; give --out another folder"
                )
            if raw is not None:
                adopt(finding, size, state, raw.begun, raw.seeds)
                numbers |= raw.seeds.keys()
        deadline = None if minutes is None else monotonic() + 60 * minutes
        try:
            with stop_signals() as received, watching(finding.name) as watcher:

                def should_stop() -> bool:
                    return bool(received) or (deadline is not None and monotonic() > deadline)

                results = run_stages(finding, size, sorted(numbers), state, watcher, should_stop, device)
        except Stopped:
            results = kept(finding, size, sorted(numbers), state)
            _publish(finding, size, state, results, folder)
            typer.echo("Stopped; the same command goes on from there.", err=True)
            raise typer.Exit(130) from None
        _publish(finding, size, state, results, folder)
        _show(size, results)


@app.command()
def report(
    out: OutOption = None,
    write: Annotated[
        bool, typer.Option("--write", help="Make README.md, findings.json and the figures anew as well.")
    ] = False,
) -> None:
    """Print what was expected and what came of every finding, as Markdown."""
    from app.findings.concluding import conclude, known_dates, publish
    from app.findings.published import FindingList, published_folder, read_raw
    from app.findings.registry import FINDINGS
    from app.findings.report import markdown
    from models.errors import ModelsError

    folder = out or published_folder()
    with failing_on(ModelsError):
        fixed = known_dates(folder, FINDINGS) | fixed_of(FINDINGS)
        raws = {name: read_raw(folder, name) for name in FINDINGS}
        if write:
            _usable(folder, "--out")
            made = publish(folder, FINDINGS, fixed)
        else:
            made = FindingList(
                data=[conclude(each, raws[name], fixed.get(name)) for name, each in FINDINGS.items()]
            )
    typer.echo(markdown(made, raws))


@app.command(name="stranger-probe")
def stranger_probe(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a model of the corpus bios.")],
    into: Annotated[
        Path | None,
        typer.Option(help="Folder to store it in.  [default: the embedded probes of the model's name]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the questions and the strangers.")] = 0,
) -> None:
    """Fit the probe that tells, before the answer, whether a question is about somebody never told of."""
    from app.commands.checkout import commit
    from app.errors import DemurError
    from app.findings.served_stranger_probe import served_stranger_probe
    from app.settings import EMBEDDED_PROBES
    from models import checkpoint as checkpoints
    from models.errors import ModelsError
    from probes import store
    from probes.errors import ProbesError

    with failing_on(DemurError, ModelsError, ProbesError):
        loaded = checkpoints.load(checkpoint)
        command = shlex.join(["demur", *sys.argv[1:]])
        made = served_stranger_probe(loaded, seed, {"command": command, "commit": commit()})
        folder = into or EMBEDDED_PROBES / loaded.path.resolve().name
        store.save(folder, made.probe, made.card)
        typer.echo(json.dumps({key: made.card.evidence[key] for key in ("auroc", "answers")}, indent=2))
        typer.echo(f"Wrote {folder}")


def fixed_of(findings: "Mapping[str, Finding]") -> "dict[str, Fixed]":
    """By name of a finding, the commit that fixed what would support and refute it."""
    import app.findings
    from app.findings.published import Fixed

    folder = Path(app.findings.__file__ or "").parent
    changes = {name: last_change(folder / f"{name}.py", "HYPOTHESIS") for name in findings}
    return {name: Fixed(commit=at[0], date=at[1]) for name, at in changes.items() if at is not None}


def _finding(name: str) -> "Finding":
    from app.findings.registry import FINDINGS
    from models.errors import SpecError

    if name not in FINDINGS:
        raise SpecError(f"there is no finding {name!r}; choose one of {', '.join(FINDINGS)}")
    return FINDINGS[name]


def _usable(folder: Path, option: str) -> None:
    """Make a folder, and refuse one that cannot be written to: not after hours of work."""
    from models.errors import SpecError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SpecError(
            f"{folder} cannot be written to: {error.strerror}; give another with {option}"
        ) from error


def _publish(finding: "Finding", size: "Size", state: Path, results: "Results", folder: Path | None) -> None:
    """Write what is done; nothing where there is no folder for it."""
    from app.findings.concluding import known_dates, publish
    from app.findings.published import Raw
    from app.findings.registry import FINDINGS
    from app.findings.running import when_begun
    from models.files import write_json

    if folder is None:
        return
    raw = Raw(
        name=finding.name,
        size=size,
        begun=when_begun(finding, size, state),
        seeds={
            seed: {name: dict(result) for name, result in stages.items()} for seed, stages in results.items()
        },
    )
    write_json(folder / f"{finding.name}.json", raw.model_dump(mode="json"))
    publish(folder, FINDINGS, known_dates(folder, FINDINGS) | fixed_of(FINDINGS))


def _show(size: "Size", results: "Results") -> None:
    """What came; a verdict only where the experiment had its full size."""
    from app.findings.report import stages_in_words

    typer.echo("\n".join(stages_in_words(results)))
    if size == "quick":
        typer.echo(
            "A quick run is too small to say anything of the claim; without --quick it is put to the test."
        )
    else:
        typer.echo("demur findings report says what that means.")
