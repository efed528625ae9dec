"""What helps on real models? Everything that docs/real-models.md is made of, in one command.

    python -m benchmarks.real_models.run smollm2 FOLDER --out runs/real-models
    python -m benchmarks.real_models.document runs/real-models docs/real-models.md

FOLDER is a model of Hugging Face format. Stopped at any moment, the same command goes on where it was: it
calibrates the model, fits a probe on every set, tries the settings of every strategy on the validation split,
keeps the chosen ones, and asks the test split once. Needs `demur[problems]`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.real_models.choosing import VALIDATION, choose, is_tried
from benchmarks.real_models.comparing import ORACLE, Compared, compare_all
from benchmarks.real_models.preparing import Prepared, prepare
from benchmarks.real_models.settings import read_settings


def run(
    model: Annotated[str, typer.Argument(help="A model of settings.toml.")],
    folder: Annotated[Path, typer.Argument(help="Its folder, of Hugging Face format.")],
    out: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("runs/real-models"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="A set; may be repeated, so that several processes share the work.  [default: all]"
        ),
    ] = None,
) -> None:
    """Make what the table of a model needs, or what is missing of it."""
    settings = read_settings()
    if model not in settings.models:
        raise typer.BadParameter(f"there are {', '.join(settings.models)}", param_hint="MODEL")
    prepared: Prepared = prepare(settings, model, folder, out / model, only or ())
    compared = Compared(settings, model, prepared)
    tried = {name: _tried(compared, name) for name in prepared.sets}
    for number, stage in enumerate(VALIDATION):
        compare_all(compared, stage, {name: arms[number :: len(VALIDATION)] for name, arms in tried.items()})
    if not is_tried(settings, model, prepared.folder):
        typer.echo(
            "Sets of another process are not tried on validation yet; give the same command again then."
        )
        raise typer.Exit
    chosen = choose(settings, prepared.folder)
    compare_all(compared, "test", {name: _final(compared, name, chosen) for name in prepared.sets})
    compare_all(compared, ORACLE, {name: [settings.oracle_arm] for name in prepared.sets})


def _tried(compared: Compared, question_set: str) -> list[Mapping[str, object]]:
    """Greedy, and every setting of every strategy: more than one comparison takes, so there are two."""
    candidates = compared.settings.candidates(question_set)
    return [GREEDY, *(arm for each in candidates for arm in each.arms())]


def _final(compared: Compared, question_set: str, chosen: dict[str, str]) -> list[Mapping[str, object]]:
    """Greedy, and the chosen setting of every strategy under the strategy's name."""
    arms = {
        arm["name"]: {**arm, "name": each.name}
        for each in compared.settings.candidates(question_set)
        for arm in each.arms()
    }
    return [GREEDY, *(arms[name] for name in chosen.values() if name in arms)]


GREEDY: Mapping[str, object] = {"name": "greedy", "strategy": {"kind": "greedy"}}

if __name__ == "__main__":
    typer.run(run)
