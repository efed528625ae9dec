"""What helps on real models? Everything that docs/real-models.md is made of, in one command.

    python -m benchmarks.real_models.run smollm2 FOLDER --out runs/real-models
    python -m benchmarks.real_models.document runs/real-models docs/real-models.md

FOLDER is a model of Hugging Face format. Stopped at any moment, the same command goes on where it was: it
calibrates the model, tries the settings of every strategy on the validation splits of some sets, keeps the
chosen ones, and asks the test split of every set once, each with a probe that was fitted on it. Needs
`demur[problems]`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.real_models.choosing import VALIDATION, choose
from benchmarks.real_models.comparing import ORACLE, Compared, compare
from benchmarks.real_models.preparing import calibrate, fit, study_of
from benchmarks.real_models.settings import SETTINGS, Settings, read_settings


def run(
    model: Annotated[str, typer.Argument(help="A model of settings.toml.")],
    folder: Annotated[Path, typer.Argument(help="Its folder, of Hugging Face format.")],
    out: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("runs/real-models"),
    settings_file: Annotated[
        Path, typer.Option("--settings", help="Sets, strategies and their settings.")
    ] = SETTINGS,
) -> None:
    """Make what the table of a model needs, or what is missing of it."""
    settings = read_settings(settings_file)
    if model not in settings.models:
        raise typer.BadParameter(f"there are {', '.join(settings.models)}", param_hint="MODEL")
    study = study_of(settings, model, folder, out / model)
    calibrate(study)
    compared = Compared(study)
    for name in study.of_model.tuned_on:
        fit(study, name)
        arms = _tried(settings, name)
        for number, stage in enumerate(VALIDATION):
            compare(compared, stage, name, arms[number :: len(VALIDATION)])
    chosen = choose(settings, study.folder)
    for name in study.of_model.sets:
        fit(study, name)
        compare(compared, "test", name, _final(settings, name, chosen))
        compare(compared, ORACLE, name, [settings.oracle_arm])


def _tried(settings: Settings, question_set: str) -> list[Mapping[str, object]]:
    """Greedy, and every setting of every strategy: more than one comparison takes, so there are two."""
    candidates = settings.candidates(question_set)
    return [GREEDY, *(arm for each in candidates for arm in each.arms())]


def _final(settings: Settings, question_set: str, chosen: dict[str, str]) -> list[Mapping[str, object]]:
    """Greedy, and the chosen setting of every strategy under the strategy's name."""
    arms = {
        arm["name"]: {**arm, "name": each.name}
        for each in settings.candidates(question_set)
        for arm in each.arms()
    }
    return [GREEDY, *(arms[name] for name in chosen.values() if name in arms)]


GREEDY: Mapping[str, object] = {"name": "greedy", "strategy": {"kind": "greedy"}}

if __name__ == "__main__":
    typer.run(run)
