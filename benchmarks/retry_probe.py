"""What would a probe be worth that was fitted on what is written in place of a rejected step?

`step_error` was fitted on what the model writes by itself, and recognises few of the right steps among those
that are written after a mistake. Here the first mistakes of solutions of the train split are written anew
from each of the likeliest first tokens, the checker judges all of them, and a logistic regression on pooled
hidden states and signals is fitted on them. Two questions, both on validation problems: how well it tells
right from wrong among such alternatives, and what `retry_upon_regret` gains if retries are judged by it.

    python benchmarks/retry_probe.py [--train 300] [--problems 200]
"""

import tempfile
from collections.abc import Sequence as Items
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from probe_alternatives import OTHERS, Alternative, draw
from rich.console import Console
from rich.table import Table as Shown
from sklearn.metrics import roc_auc_score

from app.compare.about import about
from app.compare.folder import RunFolder
from app.compare.results import ComparisonReport
from app.compare.runner import Comparison
from app.compare.spec import parse_spec
from app.compare.summary import summarise
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from app.settings import EMBEDDED_CHECKPOINT, load_settings
from models.checkpoint import LoadedCheckpoint, load
from probes.fitting.calibrate import calibrate
from probes.fitting.families import Weights, fit
from probes.fitting.labels import Labelled, WrongSpan
from probes.fitting.readings import Table, read
from probes.fitting.stacking import logits
from probes.position import standard_positions
from probes.probe import Probe
from probes.store import load_all

NAME = "retry_error"
OPS = range(6, 11)
RETRY = {"first": "greedy", "temperature": 0, "penalty": 20, "per_answer": 32}
Floats = NDArray[np.float64]


def table_of(loaded: LoadedCheckpoint, found: Items[Items[Alternative]]) -> Table:
    """Readings at the end of each alternative, in their order."""
    positions = standard_positions(loaded.tokenizer, (".", "\n"), (" =",), loaded.model.spec.end_token_ids)
    layers = range(1, loaded.model.spec.n_layers + 1)
    labels = [_labelled(loaded, each) for ways in found for each in ways]
    with Console(stderr=True).status(f"reading {len(labels)} steps"):
        table = read(loaded.model, loaded.tokenizer, labels, [positions["end"]], layers)["end"]
    assert len(table) == len(labels), "each is read once"
    return table


def _labelled(loaded: LoadedCheckpoint, each: Alternative) -> Labelled:
    end = loaded.model.spec.end_token_id
    text = loaded.tokenizer.decode([token_id for token_id in each.ids if token_id != end])
    begin = len(loaded.tokenizer.decode(each.ids[: each.start]))
    wrong = () if each.is_right else (WrongSpan(start=begin, end=len(text)),)
    return Labelled(
        prompt=each.prompt, completion=text, completion_ids=each.ids, wrong=wrong, judged_from=begin
    )


def steps_of(loaded: LoadedCheckpoint, found: Items[Items[Alternative]]) -> list[list[Alternative]]:
    """Without those that end the text instead of writing a step."""
    end = loaded.model.spec.end_token_id
    return [[each for each in ways if each.ids[each.start :] != (end,)] for ways in found]


def inputs(table: Table) -> Floats:
    """What `step_error` sees too: means of the hidden states over the step, and the signals."""
    return np.concatenate((table.pooled.reshape(len(table), -1), table.signals), axis=1).astype(np.float64)


def describe(name: str, scores: Floats, found: Items[Items[Alternative]]) -> list[str]:
    """AUROC over alternatives, and how often the one of the lowest score is right, of 4 and of all."""
    score = iter(scores.tolist())
    rows = [[(each, next(score)) for each in ways] for ways in found]
    others = [[pair for pair in ways if not pair[0].is_mistake] for ways in rows]
    flat = [pair for ways in others for pair in ways]
    auroc = roc_auc_score([not each.is_right for each, _ in flat], [value for _, value in flat])
    cells = [name, f"{auroc:.3f}"]
    for most in (4, OTHERS):
        hits = [min(ways[:most], key=lambda pair: pair[1])[0].is_right for ways in others]
        cells.append(f"{np.mean(hits):.1%}")
    return cells


def compare(
    loaded: LoadedCheckpoint, probes: Items[Probe], problems: int, threshold: float
) -> ComparisonReport:
    """Retries judged by step_error and by the new probe, on validation problems beyond the trained range."""

    def arm(name: str, kind: str, per_step: int, **rest: Any) -> dict[str, Any]:
        retry = RETRY | {"per_step": per_step}
        return {"name": f"{name}-{per_step}", "strategy": {"kind": kind, "retry": retry, **rest}}

    first = [{"signal": "probe:step_error", "threshold": threshold}]
    arms = [{"name": "greedy", "strategy": {"kind": "greedy"}}]
    arms += [arm("step_error", "retry_upon_regret", per_step, triggers=first) for per_step in (3, 8)]
    for per_step, least in ((3, 0.5), (8, 0.5), (3, 0.3), (8, 0.3), (8, 0.15)):
        again = [{"signal": f"probe:{NAME}", "threshold": least}]
        name = f"{NAME}-above-{least}"
        arms.append(arm(name, "retry_upon_regret", per_step, triggers=first, again=again))
    arms += [arm("oracle", "oracle_retry", per_step) for per_step in (3, 8)]
    source = {"source": "corpus", "split": "validation", "ops": [7, 10], "count": problems}
    spec = parse_spec({"arms": arms, "problems": source, "seed": 77, "latency_problems": 0})
    engine = Engine(loaded, EngineLimits(max_rows=64), probes)
    with engine, tempfile.TemporaryDirectory() as root:
        comparison = Comparison(engine, loaded, spec)
        path = Path(root) / "run"
        with RunFolder.create_or_resume(path, spec, about(spec, loaded), comparison.problems) as folder:
            with Console(stderr=True).status("comparing"):
                comparison.run(folder)
            return summarise(spec, folder.outcomes, folder.latency)


def main(
    train: Annotated[int, typer.Option(help="Problems of each op to learn from.")] = 300,
    validation: Annotated[int, typer.Option(help="Problems of each op to choose on.")] = 120,
    problems: Annotated[int, typer.Option(help="Problems to compare retries on.")] = 200,
) -> None:
    """Print how well alternatives are told apart, and what retries gain by it."""
    loaded = load(EMBEDDED_CHECKPOINT)
    known = table_of(loaded, steps_of(loaded, draw(loaded, (), "train", OPS, train, 8, (0.0, 1.0))))
    weights = fit("logistic", inputs(known), known.wrong)
    spare = table_of(loaded, steps_of(loaded, draw(loaded, (), "calibration", OPS, validation, 8)))
    found = steps_of(loaded, draw(loaded, (), "validation", OPS, validation, OTHERS + 1))
    held_out = table_of(loaded, found)
    stored = [each.probe for each in load_all(load_settings({}).probes_folder, loaded)]
    step_error = next(each for each in stored if each.name == "step_error")
    probe = Probe(
        name=NAME,
        position=known.position,
        layers=known.layers,
        weight=weights.weight,
        bias=weights.bias,
        signals=True,
        pooling="mean",
        calibration=calibrate(logits(weights, inputs(spare)), spare.wrong, spare.group),
    )

    console = Console()
    told = Shown(title=f"alternatives at {len(found)} first mistakes, fitted on {len(known)} others")
    for heading in ("probe", "AUROC", "lowest of 4 is right", "lowest of 13 is right"):
        told.add_column(heading)
    old = Weights(step_error.weight, step_error.bias, step_error.out_weight, step_error.out_bias)
    for name, each in (("step_error", old), (NAME, weights)):
        told.add_row(*describe(name, logits(each, inputs(held_out)), found))
    right = np.array([not each.is_right for ways in found for each in ways], dtype=np.float64)
    told.add_row(*describe("the checker", right, found))
    console.print(told)

    report = compare(loaded, [*stored, probe], problems, 0.5)
    gained = Shown(title=f"{report.problems} validation problems of op 7 to 10")
    for heading in ("arm, with retries per step", "solved", "tokens", "times greedy's"):
        gained.add_column(heading)
    for arm in report.arms:
        assert arm.accuracy is not None
        assert arm.tokens is not None
        ratio = next((p.token_ratio for p in report.against_baseline if p.arm == arm.name), None)
        gained.add_row(
            arm.name,
            f"{arm.accuracy.value:.1%} ({arm.accuracy.low:.1%} to {arm.accuracy.high:.1%})",
            f"{arm.tokens.mean.value:.1f}",
            "" if ratio is None else f"{ratio.value:.2f}",
        )
    console.print(gained)


if __name__ == "__main__":
    typer.run(main)
