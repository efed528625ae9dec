"""`demur compare`: strategies on the same problems, with intervals, costs and a report."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from app.commands.failures import fail, failing_on
from app.commands.options import CheckpointOption, DeviceOption, MaxRowsOption, NoProbesOption, ProbesOption

EXAMPLES = """
**Examples**

- `demur compare -s greedy -s 'warm=sample:{"temperature": 0.7}' -s retry_upon_regret --ops 1-6 --count 500`
- `demur compare retries.yaml --out runs/retries` with a file of arms, problems and so on (docs/compare.md)
- `demur compare --out runs/retries --resume` goes on with a run that was stopped, however it was stopped
- `demur compare -s greedy -s beam --problems mine.jsonl --answer-marker '####'` on problems of your own
- `demur compare -s greedy -s beam --problems reasoning_gym:chain_sum --chat --answer-last-number`
- `demur compare --model a=A --model b=B -s 'a=greedy:{"model": "a"}' -s 'b=greedy:{"model": "b"}'` two models
- `demur compare -s greedy -s sample --prompt 'Boats are 3. How many boats?'` shows texts beside each other
- `demur compare retries.yaml --url http://localhost:8000` has a running server do it, in its background
- `demur compare retries.yaml --fail-under retry=0.9` has exit status 1 if that arm is less accurate
"""


def complete_kind(incomplete: str) -> list[str]:
    """Names of strategies for the shell. Importing the strategies would take seconds: each has a file."""
    folder = Path(__file__).parent.parent / "decoding" / "strategies"
    names = sorted(file.stem for file in folder.glob("*.py") if file.stem not in ("__init__", "base"))
    prefix, separator, begun = incomplete.rpartition("=")
    return [f"{prefix}{separator}{name}" for name in names if name.startswith(begun)]


def complete_problems(incomplete: str) -> list[str]:
    """Names of problem sets for the shell, and files."""
    from app.compare.problem_sets.gym_names import names_of_gym

    sets = [f"reasoning_gym:{name}" for name in names_of_gym()]
    folder, _, begun = incomplete.rpartition("/")
    files = [str(path) for path in sorted(Path(folder or ".").glob("*.jsonl")) if path.name.startswith(begun)]
    return [each for each in (*sets, *files) if each.startswith(incomplete)]


def compare(
    spec: Annotated[
        Path | None,
        typer.Argument(help="YAML or JSON file with arms, problems and so on. Flags win over what it says."),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            "-s",
            metavar="[NAME=]KIND[:{...}]",
            help="An arm: a kind of strategy, with its parameters and sampler fields as JSON. Repeatable; "
            "added to those of the file.",
            autocompletion=complete_kind,
        ),
    ] = None,
    split: Annotated[
        Literal["train", "validation", "calibration", "test"] | None,
        typer.Option(help="Split of the problems; no two share one.  [default: validation; all of a file]"),
    ] = None,
    ops: Annotated[
        str | None,
        typer.Option(
            metavar="LOW-HIGH",
            help="How many quantities an answer needs: a range, or one number.  [default: 1-6]",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "-n", "--count", help="Problems.  [default: 500 of a corpus, 100 of a generator, all of a file]"
        ),
    ] = None,
    problems: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|reasoning_gym:NAME[?SETTING=VALUE&...]",
            help="JSON Lines of your own problems: prompt, and answer and id if there are any; or a problem "
            "set that `demur problems list` names.",
            autocompletion=complete_problems,
        ),
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(help="Solved problems before each question: the file's first, or of split train."),
    ] = None,
    chat: Annotated[bool, typer.Option("--chat", help="Ask through the model's chat template.")] = False,
    system: Annotated[str | None, typer.Option(help="System message of the chat.")] = None,
    question: Annotated[
        str | None,
        typer.Option(help="What is asked, with fields in braces: 'Q: {prompt}\\nA:'.  [default: {prompt}]"),
    ] = None,
    example_answer: Annotated[
        str | None, typer.Option(help="How the answer of an example is written.  [default: {answer}]")
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="A text that ends completions, such as '\\n'. Repeatable.")
    ] = None,
    stop_token_id: Annotated[
        list[int] | None, typer.Option(help="A token that ends completions. Repeatable.")
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="A prompt without an answer, to see texts. Repeatable.")
    ] = None,
    answer_marker: Annotated[
        str | None, typer.Option(help="The answer stands after the last of these.  [default: Answer:]")
    ] = None,
    answer_regex: Annotated[
        str | None, typer.Option(help="The answer is what this finds first: its first group, or all of it.")
    ] = None,
    answer_exact: Annotated[
        bool, typer.Option("--answer-exact", help="The answer is the whole text, but for white space.")
    ] = False,
    answer_last_number: Annotated[
        bool, typer.Option("--answer-last-number", help="The answer is the last number in the text.")
    ] = False,
    scoring: Annotated[
        Literal["text", "number", "choice", "set", "regex"] | None,
        typer.Option(help="When an answer of your own problems is right.  [default: text]"),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="How far off a number may be; scores by number.")
    ] = None,
    choices: Annotated[
        str | None, typer.Option(help="Labels, separated by commas; scores by choice.  [default: A,B,C,D]")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="A command that reads a problem and its completion as JSON and writes a score from 0 to 1 "
            "(docs/problems.md).",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same problems and texts.  [default: 0]")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Most tokens of a text.  [default: what the context holds]")
    ] = None,
    signals: Annotated[
        str | None,
        typer.Option(help="Signals to keep for every token, separated by commas; probes as probe:NAME."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Arm that others are compared with.  [default: the first]")
    ] = None,
    latency_problems: Annotated[
        int | None, typer.Option(help="Problems to time one at a time; 0 is none.  [default: 20]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the comparison, and of its folder.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run; one that holds the same run is gone on with.  [default: "
            "runs/comparisons/ and the name]"
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --out, or fail. Needs no file and no arms."),
    ] = False,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(metavar="ARM=SHARE", help="Exit status 1 if the arm's accuracy is lower. Repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json instead of tables.")] = False,
    url: Annotated[
        str | None,
        typer.Option(
            help="Have the server at this address run it, with DEMUR_API_KEY as the key; Ctrl-C cancels it."
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="A model that arms name in their field model. Repeatable; arms that name none run on the "
            "checkpoint, or without one on the first of these.",
        ),
    ] = None,
    model_probes: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="Folder of probes of one of these models. Repeatable."),
    ] = None,
    probes: ProbesOption = None,
    no_probes: NoProbesOption = False,
    device: DeviceOption = None,
    max_rows: MaxRowsOption = None,
) -> None:
    """Compare strategies on the same problems with the same seeds.

    Every answer is on disk before it counts, in a folder that pandas and DuckDB read. A run that was stopped
    or killed goes on when the same command is given again. In the end there are tables with 95% intervals and
    paired differences here, and report.html and report.json in the folder.

    An arm without a name of its own is named after its kind of strategy, a second one of a kind KIND-2.
    """
    from app.commands.compare_remote import run_there
    from app.commands.compare_run import run_here
    from app.commands.compare_spec import (
        bounds_of_flags,
        items_of_flags,
        name_of,
        ops_of_flag,
        read_spec_file,
        reading_of_flags,
        signals_of_flag,
        spec_of,
    )
    from app.commands.compare_tables import show_report
    from app.commands.problem_flags import (
        GYM,
        gym_of_flag,
        near_misses,
        scoring_of_flags,
        stops_of_flag,
        template_of_flags,
    )
    from app.compare.folder import read_spec
    from app.errors import DemurError
    from models.errors import ModelsError
    from probes.errors import ProbesError

    with failing_on(DemurError, ModelsError, ProbesError):
        generator = gym_of_flag(problems) if problems is not None and problems.startswith(GYM) else {}
        file = Path(problems) if problems is not None and not generator else None
        items = items_of_flags(file, prompt or ())
        flags: dict[str, Any] = {
            "name": name,
            "seed": seed,
            "max_tokens": max_tokens,
            "baseline": baseline,
            "latency_problems": latency_problems,
            "signals": signals_of_flag(signals, items),
            "problems.split": split,
            "problems.ops": None if ops is None else ops_of_flag(ops),
            "problems.count": count,
            "problems.items": items,
            "problems.reading": reading_of_flags(
                answer_marker, answer_regex, answer_exact, answer_last_number
            ),
            "problems.examples": examples,
            "problems.template": template_of_flags(chat, system, question, example_answer),
            "problems.scoring": scoring_of_flags(scoring, tolerance, choices, judge),
            "stop": stops_of_flag(stop),
            "stop_token_ids": stop_token_id or None,
            **{f"problems.{field}": value for field, value in generator.items()},
        }
        if resume and out is None:
            raise typer.BadParameter("give the folder of the run with --out", param_hint="--resume")
        if resume and out is not None and spec is None and not strategy:
            # Flags are not lost: one that changes the run has the folder refused.
            asked = spec_of(json.loads(read_spec(out).model_dump_json()), flags, ())
        else:
            asked = spec_of({} if spec is None else read_spec_file(spec), flags, strategy or ())
        for warning in (*near_misses(items or ()), *asked.warnings):
            typer.echo(f"Warning: {warning}", err=True)
        bounds = bounds_of_flags(fail_under or (), asked)
        folder = out if out is not None else Path("runs") / "comparisons" / name_of(asked)
        options = {
            "checkpoint": checkpoint,
            "model": model or None,
            "model_probes": model_probes or None,
            "probes": probes,
            "no_probes": no_probes or None,
            "device": device,
            "max_rows": max_rows,
        }
        own = [f"--{option.replace('_', '-')}" for option, value in options.items() if value is not None]
        if url is not None and own:
            raise typer.BadParameter(
                f"the server at {url} has its own; leave out one of them", param_hint=own[0]
            )
        try:
            if url is None:
                finished = run_here(asked, folder, options, must_exist=resume)
            else:
                finished = run_there(asked, folder, url, must_exist=resume)
        except KeyboardInterrupt:
            where = "" if url is None else f" --url {url}"
            typer.echo(f"Stopped. To go on: demur compare --out {folder} --resume{where}", err=True)
            raise typer.Exit(130) from None
    report = finished.report
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        show_report(report, finished.outcomes, finished.prompts)
        typer.echo(f"Report: {folder / 'report.html'}")
    low = [sentence for bound in bounds if (sentence := bound.broken(report)) is not None]
    if low:
        raise fail("; ".join(low))
