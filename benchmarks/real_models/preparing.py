"""Questions, calibration and probes of a model, by demur's own commands."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import typer

from app.cli import app as demur
from benchmarks.real_models.question_sets import MARKER, Split, splits_of
from benchmarks.real_models.settings import ModelSettings, Settings
from models.files import write_json

STOP = "\\n\\n"
_JUDGE = f"{sys.executable} -m benchmarks.real_models.step_judge"


@dataclass(frozen=True)
class Prepared:
    """What comparisons of a model start from. folder: of all that belongs to it; model: its files, with the
    calibration beside them; sets: questions by set and split; probes: a folder of probes by set, where one
    could be fitted."""

    folder: Path
    model: Path
    sets: Mapping[str, Mapping[str, Split]]
    probes: Mapping[str, Path]


def prepare(settings: Settings, name: str, folder: Path, out: Path, only: Sequence[str] = ()) -> Prepared:
    """Draw, fit and calibrate what is not there yet. only: the sets that are wanted; all of them if empty."""
    model = settings.models[name]
    sets = {each: splits_of(each, settings.sets[each], settings.counts, settings.seed) for each in model.sets}
    linked = _linked(folder, out / "model")
    found: dict[str, Path] = {}
    wanted = [each for each in model.sets if not only or each in only]
    for each in wanted:
        probes = out / "probes" / each / "installed"
        if not _is_done(out / "probes" / each):
            _fit(settings, model, each, linked, out / "probes" / each, sets[each]["train"])
        if probes.is_dir():
            found[each] = probes
    _calibrate(settings, model, linked, out, sets)
    return Prepared(out, linked, {each: sets[each] for each in wanted}, found)


def _linked(folder: Path, target: Path) -> Path:
    """A folder with links to the model's files, so that its calibration is ours."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.resolve(strict=True).iterdir()):
        link = target / file.name
        if file.is_file() and file.name != "calibration.json" and not link.exists():
            link.symlink_to(file)
    return target


def _calibrate(
    settings: Settings, model: ModelSettings, linked: Path, out: Path, sets: Mapping[str, Mapping[str, Split]]
) -> None:
    """Once for all sets, on the questions of their calibration splits, as somebody would who serves them."""
    if (linked / "calibration.json").exists():
        return
    prompts = _write_prompts(
        out / "calibration.jsonl", [item for each in model.sets for item in sets[each]["calibration"].items()]
    )
    most = max(settings.sets[each].max_tokens for each in model.sets)
    asked = ["--prompts", str(prompts), "--answer-marker", MARKER, "--max-tokens", str(most), "--stop", STOP]
    if not demur_says(out, ["calibrate", "--checkpoint", str(linked), *asked]):
        raise typer.Exit(1)


def _fit(settings: Settings, model: ModelSettings, name: str, linked: Path, run: Path, train: Split) -> None:
    """Label, fit, judge and install the probes of a set; too few labels to fit on are a result too."""
    prompts = _write_prompts(run / "train.jsonl", train.items()[: settings.sets[name].labelled])
    on = ["--checkpoint", str(linked), "--run", str(run)]
    most = settings.sets[name].max_tokens
    label = ["--prompts", str(prompts), "--judge", _JUDGE, "--max-tokens", str(most), "--stop", STOP]
    label += ["--temperature", f"{settings.label_temperature:g}", "--samples", str(settings.label_samples)]
    layers = [part for layer in model.layers for part in ("--layer", str(layer))]
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


def _is_done(run: Path) -> bool:
    return (run / _DONE).exists()


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
