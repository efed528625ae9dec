"""`demur corpus`: print problems of the igsm corpus, check solutions, and describe the corpus."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.command_line import CommandLine
from app.commands.failures import failing_on
from app.commands.options import MANY, from_shell
from models.corpora.igsm.split import Split

if TYPE_CHECKING:
    from models.corpora.igsm.spec import IgsmSpec

app = CommandLine(
    "corpus",
    "Word problems modulo 11, the igsm corpus: print them, check solutions, describe them (docs/igsm.md).",
)

ModulusOption = Annotated[int, typer.Option(min=3, max=99, help="All arithmetic is modulo this number.")]
SplitOption = Annotated[
    Split, typer.Option(help="Which split the problems belong to; no two share a solution template.")
]
SeedOption = Annotated[int, typer.Option(help="Same seed and options, same problems.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON lines instead.")]


@app.command()
def problems(
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=MANY, help="How many problems.")] = 5,
    op: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=40,
            help="How many quantities the answer needs, the steps of a solution.  "
            "[default: any that is trained on]",
        ),
    ] = None,
    distractors: Annotated[
        int | None,
        typer.Option(
            min=0, max=20, help="How many quantities the answer does not need.  [default: any up to 3]"
        ),
    ] = None,
    split: SplitOption = "test",
    seed: SeedOption = 0,
    modulus: ModulusOption = 11,
    solutions: Annotated[bool, typer.Option("--solutions", help="Print reference solutions too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print problems, a blank line between them.

    With --json every line is an object with `problem`, `op`, `answer`, `split` and, with --solutions,
    `solution`, as `demur corpus check --json-lines` reads them.
    """
    from models.corpora.igsm.dataset import problems as stream
    from models.corpora.igsm.text import render_problem, render_solution
    from models.errors import ModelsError

    with failing_on(ModelsError):
        ops = None if op is None else range(op, op + 1)
        for index, problem in enumerate(islice(stream(_spec(modulus, distractors), split, seed, ops), count)):
            text, solution = render_problem(problem), render_solution(problem)
            if as_json:
                line = {"problem": text, "op": problem.op, "answer": problem.answer, "split": split}
                typer.echo(json.dumps(line | ({"solution": solution} if solutions else {})))
                continue
            if index:
                typer.echo()
            typer.echo(text)
            if solutions:
                typer.echo(solution)


@app.command()
def check(
    problem: Annotated[str | None, typer.Argument(help="The problem's text.")] = None,
    solution: Annotated[str | None, typer.Argument(help="The solution's text.")] = None,
    problem_file: Annotated[
        typer.FileText | None,
        typer.Option(encoding="utf-8", errors="replace", help="Read the problem from a file; - is stdin."),
    ] = None,
    solution_file: Annotated[
        typer.FileText | None,
        typer.Option(encoding="utf-8", errors="replace", help="Read the solution from a file; - is stdin."),
    ] = None,
    json_lines: Annotated[
        typer.FileText | None,
        typer.Option(
            encoding="utf-8",
            errors="replace",
            help="Check many: a file (- is stdin) with an object per line that has `problem` and `solution`.",
        ),
    ] = None,
    modulus: ModulusOption = 11,
    as_json: JsonOption = False,
) -> None:
    """Judge every step of a solution, and its answer. The exit status is 0 if all of it is right, else 1.

    A step is correct, or the first of these that applies:

        syntax       it cannot be read
        unknown      the problem does not define its quantity
        repeated     an earlier step defined it already
        unnecessary  the answer does not need it
        not_ready    it depends on something not yet defined
        formula      the restated sentence is not the problem's
        arithmetic   a number put in, the operator or the result is wrong

    A step is judged by what the solution has stated before it: a wrong value that is carried on counts once.
    What follows the answer is one more step, which cannot be read. docs/igsm.md has an example of each.

    Examples:

        demur corpus check "Kites are 7. How many kites?" "Kites are 7. Answer: 7"

        demur corpus problems --solutions --json | demur corpus check --json-lines -
    """
    from app.commands.checked import report_json, show_report, show_summary
    from models.corpora.igsm.check import check_solution

    if json_lines is not None:
        if problem or solution or problem_file or solution_file:
            raise typer.BadParameter("--json-lines brings problems and solutions; give it alone")
        pairs = list(_read_pairs(json_lines))
        if not pairs:
            raise typer.BadParameter("--json-lines has no line to check")
    else:
        pairs = [
            (
                _one_of("PROBLEM", problem, "--problem-file", problem_file),
                _one_of("SOLUTION", solution, "--solution-file", solution_file),
            )
        ]
    reports = [check_solution(*pair, modulus=modulus) for pair in pairs]
    if as_json:
        for report in reports:
            typer.echo(json.dumps(report_json(report)))
    elif json_lines is not None:
        show_summary(reports)
    else:
        show_report(pairs[0][1], reports[0])
    if not all(report.correct for report in reports):
        raise typer.Exit(1)


@app.command()
def stats(
    count: Annotated[
        int, typer.Option("-n", "--count", min=1, max=MANY, help="How many problems of each op.")
    ] = 2000,
    split: SplitOption = "train",
    seed: SeedOption = 0,
    modulus: ModulusOption = 11,
    as_json: JsonOption = False,
) -> None:
    """Describe samples of the corpus, one per op: sizes in tokens, templates, and the majority baseline.

    The majority baseline is the accuracy of always giving the commonest answer.
    """
    from dataclasses import asdict

    from app.commands.checked import show_answers, show_statistics
    from models.corpora.igsm.dataset import problems as stream
    from models.corpora.igsm.statistics import answer_shares, describe
    from models.errors import ModelsError

    spec = _spec(modulus, None)
    with failing_on(ModelsError):
        samples = {
            op: list(islice(stream(spec, split, seed, range(op, op + 1)), count))
            for op in range(spec.op_min, spec.op_largest + 1)
        }
    statistics = {op: describe(sample) for op, sample in samples.items()}
    if as_json:
        for op, described in statistics.items():
            answers = answer_shares(samples[op], modulus)
            typer.echo(json.dumps({"op": op, **asdict(described), "answer_shares": answers}))
        return
    title = f"igsm, split {split}, {count} problems per op (above {spec.op_max}: not trained on)"
    show_statistics(statistics, title, spec.op_max)
    every = [problem for sample in samples.values() for problem in sample]
    show_answers(answer_shares(every, modulus))


def _spec(modulus: int, distractors: int | None) -> "IgsmSpec":
    from models.corpora.igsm.spec import IgsmSpec

    if distractors is None:
        return IgsmSpec(modulus=modulus)
    return IgsmSpec(modulus=modulus, distractors_min=distractors, distractors_max=distractors)


def _one_of(name: str, text: str | None, option: str, file: typer.FileText | None) -> str:
    if (text is None) == (file is None):
        raise typer.BadParameter(f"give either {name} or {option}, and one only")
    if file is not None:
        return file.read()
    return from_shell(text or "")


def _read_pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            match json.loads(line):
                case {"problem": str(problem), "solution": str(solution)}:
                    yield problem, solution
                case _:
                    raise ValueError("it must be an object with the strings `problem` and `solution`")
        except (ValueError, RecursionError) as error:
            raise typer.BadParameter(f"line {number} of --json-lines: {error}") from error
