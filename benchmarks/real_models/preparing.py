"""Questions, calibration and probes of a model, by demur's own commands."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import typer

from app.cli import app as demur
from benchmarks.real_models.question_sets import MARKER, Split, kept_splits, splits_of
from benchmarks.real_models.settings import ModelSettings, Settings
from models.files import write_json

STOP = "\\n\\n"
_JUDGE = f"{sys.executable} -m benchmarks.real_models.step_judge"


@dataclass(frozen=True)
class Study:
    """A model whose table is made. folder: of all that is found; model: the model's files, with the
    calibration beside them."""

    settings: Settings
    name: str
    folder: Path
    model: Path

    @property
    def of_model(self) -> ModelSettings:
        """What settings say of the model."""
        return self.settings.models[self.name]

    def splits(self, question_set: str) -> Mapping[str, Split]:
        """The questions of a set, drawn once."""
        return kept_splits(
            self.folder / "questions" / f"{question_set}.json",
            lambda: splits_of(
                question_set, self.settings.sets[question_set], self.settings.counts, self.settings.seed
            ),
        )

    def probes(self, question_set: str) -> Path | None:
        """The folder of a set's probes; None where there are none."""
        installed = self.folder / "probes" / question_set / "installed"
        return installed if installed.is_dir() else None


def study_of(settings: Settings, name: str, folder: Path, out: Path) -> Study:
    """The study of a model in a folder of Hugging Face format."""
    return Study(settings, name, out, _linked(folder, out / "model"))


def _linked(folder: Path, target: Path) -> Path:
    """A folder with links to the model's files, so that its calibration is ours."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.resolve(strict=True).iterdir()):
        link = target / file.name
        if file.is_file() and file.name != "calibration.json" and not link.exists():
            link.symlink_to(file)
    return target


def calibrate(study: Study) -> None:
    """Once for all sets, on the questions of their calibration splits, as somebody would who serves them."""
    if (study.model / "calibration.json").exists():
        return
    sets = study.of_model.sets
    prompts = _write_prompts(
        study.folder / "calibration.jsonl",
        [item for each in sets for item in study.splits(each)["calibration"].items()],
    )
    most = max(study.settings.sets[each].max_tokens for each in sets)
    asked = ["--prompts", str(prompts), "--problems", str(study.settings.calibration_texts)]
    asked += ["--answer-marker", MARKER, "--max-tokens", str(most), "--stop", STOP]
    if not demur_says(study.folder, ["calibrate", "--checkpoint", str(study.model), *asked]):
        raise typer.Exit(1)


def fit(study: Study, question_set: str) -> None:
    """Label, fit, judge and install the probes of a set; too few labels to fit on are a result too."""
    run = study.folder / "probes" / question_set
    if (run / _DONE).exists():
        return
    settings, asked = study.settings, study.settings.sets[question_set]
    prompts = _write_prompts(
        run / "train.jsonl", study.splits(question_set)["train"].items()[: asked.labelled]
    )
    on = ["--checkpoint", str(study.model), "--run", str(run)]
    label = ["--prompts", str(prompts), "--judge", _JUDGE, "--max-tokens", str(asked.max_tokens)]
    label += ["--stop", STOP, "--temperature", f"{settings.label_temperature:g}"]
    label += ["--samples", str(settings.label_samples)]
    layers = [part for layer in study.of_model.layers for part in ("--layer", str(layer))]
    commands = (
        ["probe", "label", *on, *label],
        ["probe", "fit", *on, "--step-end", "\\n", "--position", "end", *layers, "--workers", "1"],
        ["probe", "evaluate", *on, "--workers", "1"],
        ["probe", "install", *on, "--into", str(run / "installed"), "--anyway"],
    )
    for command in commands:
        if not demur_says(run, command):
            break
    write_json(run / _DONE, {})


_DONE = "done.json"


def demur_says(folder: Path, command: Sequence[str]) -> bool:
    """Run a command of demur here; whether it succeeded. What it took is kept in the folder's log."""
    typer.echo(f"demur {' '.join(command)}")
    began = process_time()
    status = demur(list(command), standalone_mode=False) or 0
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "commands.jsonl").open("a", encoding="utf-8") as log:
        record = {"command": list(command), "status": status, "seconds": round(process_time() - began, 1)}
        log.write(json.dumps(record) + "\n")
    return status == 0


def _write_prompts(path: Path, items: Sequence[Mapping[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"prompt": each["prompt"], "answer": each["answer"]}) + "\n" for each in items]
    path.write_text("".join(lines), encoding="utf-8")
    return path
