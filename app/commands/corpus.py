"""`demur corpus`: print problems of a corpus, check solutions, and describe the corpus."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated

import typer

from app.commands.command_line import CommandLine
from app.commands.corpus_spec import CorpusOption, SettingOption, corpus_of_options
from app.commands.failures import failing_on
from app.commands.options import MANY, from_shell
from models.corpora.splits import Split

app = CommandLine(
    "corpus",
    "Problems of a corpus, by default igsm, word problems modulo 11 (docs/igsm.md): print them, check "
    "solutions, describe them.",
)

ModulusOption = Annotated[
    int | None, typer.Option(min=3, max=99, help="All arithmetic is modulo this number.  [default: 11]")
]
SplitOption = Annotated[
    Split, typer.Option(help="Which split the problems belong to; no two share a solution template.")
]
ProblemSeedOption = Annotated[int, typer.Option(help="Same seed and options, same problems.")]
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
    seed: ProblemSeedOption = 0,
    corpus: CorpusOption = "igsm",
    modulus: ModulusOption = None,
    setting: SettingOption = None,
    solutions: Annotated[bool, typer.Option("--solutions", help="Print reference solutions too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print problems, a blank line between them.

    With --json every line is an object with `problem`, `op`, `answer`, `split` and, with --solutions,
    `solution`, as `demur corpus check --json-lines` reads them.
    """
    from models.corpora.drawing import problems as stream
    from models.errors import ModelsError

    with failing_on(ModelsError):
        sizes = None if op is None else range(op, op + 1)
        chosen = corpus_of_options(
            corpus, setting, modulus=modulus, distractors_min=distractors, distractors_max=distractors
        )
        for index, problem in enumerate(islice(stream(chosen, split, seed, sizes), count)):
            text, solution = problem.prompt, problem.solution
            if as_json:
                line = {"problem": text, "op": problem.size, "answer": problem.answer, "split": split}
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
    corpus: CorpusOption = "igsm",
    modulus: ModulusOption = None,
    setting: SettingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge every step of a solution, and its answer. The exit status is 0 if all of it is right, else 1.

    A step is correct, or the first of these that applies (of igsm; each corpus has its own):

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
    from models.corpora.corpus import judge
    from models.errors import ModelsError

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
    with failing_on(ModelsError):
        chosen = corpus_of_options(corpus, setting, modulus=modulus)
    reports = [judge(chosen, *pair) for pair in pairs]
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
    seed: ProblemSeedOption = 0,
    corpus: CorpusOption = "igsm",
    modulus: ModulusOption = None,
    setting: SettingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe samples of the corpus, one per op: sizes in tokens, templates, and the majority baseline.

    The majority baseline is the accuracy of always giving the commonest answer.
    """
    from dataclasses import asdict

    from app.commands.checked import show_answers, show_statistics
    from models.corpora.drawing import problems as stream
    from models.corpora.statistics import answer_shares, describe
    from models.errors import ModelsError

    with failing_on(ModelsError):
        chosen = corpus_of_options(corpus, setting, modulus=modulus)
        sizes = chosen.sizes
        samples = {
            size: list(islice(stream(chosen, split, seed, range(size, size + 1)), count))
            for size in sizes.all
        }
    statistics = {op: describe(sample, chosen.layout.step_end) for op, sample in samples.items()}
    every = [problem for sample in samples.values() for problem in sample]
    answers = chosen.answers or sorted({problem.answer for problem in every}, key=str)
    if as_json:
        for op, described in statistics.items():
            shares = answer_shares(samples[op], answers)
            typer.echo(json.dumps({"op": op, **asdict(described), "answer_shares": shares}))
        return
    beyond = f"above {sizes.trained_max}: not trained on"
    show_statistics(
        statistics, f"{corpus}, split {split}, {count} problems per {sizes.name} ({beyond})", sizes
    )
    show_answers(answers, answer_shares(every, answers), sizes.name)


@app.command()
def surface(
    count: Annotated[
        int, typer.Option("-n", "--count", min=10, max=MANY, help="Problems to fit on, and to test on.")
    ] = 1000,
    op: Annotated[
        int | None, typer.Option(min=1, max=40, help="One size only.  [default: those trained on]")
    ] = None,
    seed: ProblemSeedOption = 0,
    corpus: CorpusOption = "decoys",
    setting: SettingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how far the surface of problems gives away which quantities are needed.

    Each baseline is a logistic regression, fitted on problems of the training split and tested on the test
    split: AUROC for "the answer needs it", where 0.5 says nothing, with a 95% interval by problem. It sees
    how often a quantity is mentioned (the question counts), the place of its definition, how it is defined,
    the words of its definition, all four, and the words of the sentences that use it.

    Three populations: every quantity; those that something mentions; the inner ones, which a quantity uses
    that is mentioned itself. The asked quantity is not among these: its mention says that it is needed.
    """
    from dataclasses import asdict

    from app.commands.surface import measure_surface, show_surface
    from models.errors import ModelsError

    with failing_on(ModelsError):
        chosen = corpus_of_options(corpus, setting)
        sizes = range(op, op + 1) if op else chosen.sizes.trained
        results = measure_surface(chosen, count, seed, sizes)
    if as_json:
        for result in results:
            typer.echo(json.dumps(asdict(result)))
        return
    span = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    show_surface(results, f"{corpus}, {chosen.sizes.name} {span}: AUROC of the surface")


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
