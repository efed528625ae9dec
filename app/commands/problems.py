"""`demur problems`: which problem sets there are to compare on, and what their problems look like."""

from typing import Annotated

import typer

from app.commands.command_line import CommandLine
from app.commands.failures import failing_on
from models.corpora.splits import Split

app = CommandLine(
    "problems",
    "Problem sets to compare strategies on (docs/problems.md): list them, and show problems of one.",
)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


def complete_name(incomplete: str) -> list[str]:
    """Names of generators for the shell."""
    from app.compare.problem_sets.gym_names import names_of_gym

    return [name for name in names_of_gym() if name.startswith(incomplete)]


@app.command(name="list")
def list_all(as_json: JsonFlag = False) -> None:
    """List the problem sets: name, what is asked, settings, and where they are from."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from app.compare.problem_sets.catalogue import gym_is_installed, problem_sets
    from app.errors import DemurError

    with failing_on(DemurError):
        found = problem_sets()
    if as_json:
        typer.echo(f"[{', '.join(each.model_dump_json() for each in found)}]")
    else:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for heading in ("name", "from", "category", "what", "settings"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "name")
        for each in found:
            settings = ", ".join(setting.name for setting in each.settings)
            cells = (each.name, each.source, each.category, each.about, settings)
            table.add_row(*(Text(cell) for cell in cells))
        Console(highlight=False).print(table)
    if not gym_is_installed():
        typer.echo("There are over a hundred more with: pip install 'demur[problems]'", err=True)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[?SETTING=VALUE&...]",
            help="A problem set, such as chain_sum or 'chain_sum?min_terms=2&max_terms=3'.",
            autocompletion=complete_name,
        ),
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=100, help="How many problems.")] = 1,
    split: Annotated[Split, typer.Option(help="Which split they belong to.")] = "validation",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Same seed, same problems.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Show a problem set: what is asked, its settings with their defaults, and problems with answers."""
    import json

    from pydantic import ValidationError

    from app.commands.problem_flags import GYM, gym_of_flag
    from app.compare.problem_sets.catalogue import corpus_example, examples_of, problem_set_named
    from app.compare.problem_sets.sources import GymProblems
    from app.compare.problems import AT_A_TERMINAL
    from app.errors import DemurError, ParameterError
    from models.errors import ModelsError

    with failing_on(DemurError, ModelsError):
        asked = gym_of_flag(GYM + name.removeprefix(GYM))
        about = problem_set_named(asked["name"])
        if about.source == "corpus":
            shown = [corpus_example(about.name, seed)]
        else:
            try:
                source = GymProblems(**asked, split=split, count=count)
            except ValidationError as error:
                detail = error.errors(include_url=False)[0]
                blamed = ".".join(map(str, detail["loc"][:2]))
                raise ParameterError(f"{blamed} of {name!r}: {detail['msg']}.", param=blamed) from error
            shown = examples_of(source, seed, AT_A_TERMINAL.draw_seconds)
    if as_json:
        plain = about.model_dump(mode="json") | {"examples": [each.model_dump() for each in shown]}
        typer.echo(json.dumps(plain, ensure_ascii=False, indent=2))
        return
    typer.echo(f"{about.name} ({about.source}, {about.category}): {about.about}")
    for setting in about.settings:
        typer.echo(f"  {setting.name} = {json.dumps(setting.default)}")
    for each in shown:
        answer = "none; its scorer judges" if each.answer is None else each.answer
        typer.echo(f"\n{each.question}\n\nAnswer: {answer}")
