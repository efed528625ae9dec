"""What do int8 weights cost one of our own networks: problems solved, and what its probes see?

Both numbers get the same problems of the validation part, greedily, 32 at once through the engine. A
difference is of the same problems, with a score interval (Tango, 1998). The probe `step_error` reads the
steps of each model's own solutions, up to the first wrong one; its threshold is that of its card for 5% false
alarms. What stands in FILE is not measured again.

    python benchmarks/int8_quality.py [CHECKPOINT] [--problems 1000] [--op 6 --op 7] [--results FILE]
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.commands.corpus_spec import require_corpus
from app.compare.statistics import Floats, difference, paired_counts, wilson
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest
from app.measure.asking import answer_all
from app.settings import EMBEDDED_CHECKPOINT, load_settings
from models.checkpoint import LoadedCheckpoint, load
from models.corpora.corpus import DrawnProblem, judge
from models.corpora.drawing import draw_set
from models.hub.dtypes import Precision
from probes.card import ProbeCard
from probes.probe import Probe
from probes.store import load_all

OPS = list(range(1, 11))
AT_ONCE = 32
PROBE = "step_error"
FALSE_ALARMS = 0.05
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")


@dataclass
class Found:
    """Of one model: which problems it solved, and its steps' scores, and whether they were wrong."""

    solved: list[float] = field(default_factory=list[float])
    scores: list[float] = field(default_factory=list[float])
    wrong: list[bool] = field(default_factory=list[bool])

    def add(self, other: "Found") -> None:
        self.solved += other.solved
        self.scores += other.scores
        self.wrong += other.wrong


def solve(loaded: LoadedCheckpoint, engine: Engine, problems: list[DrawnProblem]) -> Found:
    """Solve and judge problems."""
    corpus = require_corpus(loaded, "can be measured")
    signal, found = f"probe:{PROBE}", Found()

    def submit(problem: DrawnProblem) -> Stream:
        ids = tuple(loaded.tokenizer.encode_prompt(problem.prompt))
        stopping = StoppingParams(loaded.model.spec.context_length - len(ids))
        return engine.submit(GenerationRequest(ids, Greedy(), SamplingParams(), stopping, signals=(signal,)))

    for problem, answer in answer_all(problems, submit, AT_ONCE):
        report = judge(corpus, problem.prompt, answer.text)
        found.solved.append(float(report.correct))
        seen = [token.signals[signal] for token in answer.done.tokens if signal in token.signals]
        first = report.first_error
        steps = report.steps if first is None else report.steps[: first + 1]
        for index, score in enumerate(seen[: len(steps)]):
            found.scores.append(score)
            found.wrong.append(index == first)
    return found


def auroc(found: Found) -> float:
    """Share of the pairs of a wrong step and a right one in which the wrong one has the higher score."""
    scores, wrong = np.array(found.scores), np.array(found.wrong)
    ordered = np.sort(scores[~wrong])
    below = np.searchsorted(ordered, scores[wrong], "left") + np.searchsorted(ordered, scores[wrong], "right")
    return float(below.mean() / 2 / len(ordered))


def at_threshold(found: Found, threshold: float) -> tuple[float, float]:
    """Recall, and the rate of false alarms."""
    alarm, wrong = np.array(found.scores) >= threshold, np.array(found.wrong)
    return float(alarm[wrong].mean()), float(alarm[~wrong].mean())


def both(
    folder: Path, probes: list[Probe], problems: dict[int, list[DrawnProblem]]
) -> Iterator[tuple[int, dict[Precision, Found]]]:
    """What both models find, op by op."""
    limits = EngineLimits(max_rows=AT_ONCE)
    models = {precision: load(folder, precision=precision) for precision in PRECISIONS}
    engines = {precision: Engine(loaded, limits, probes) for precision, loaded in models.items()}
    with engines["float32"], engines["int8"]:
        for op in track(problems, "solving", console=Console(stderr=True)):
            yield op, {each: solve(models[each], engines[each], problems[op]) for each in PRECISIONS}


def stored_results(file: Path | None) -> dict[int, dict[Precision, Found]]:
    """What was measured before, op by op."""
    lines = file.read_text().splitlines() if file and file.exists() else []
    rows = [json.loads(line) for line in lines]
    return {row["op"]: {each: Found(**row[each]) for each in PRECISIONS} for row in rows}


def main(
    checkpoint: Annotated[Path, typer.Argument(help="One of our own checkpoints.")] = EMBEDDED_CHECKPOINT,
    problems: Annotated[int, typer.Option(help="Problems per op.")] = 1000,
    op: Annotated[list[int], typer.Option(help="Sizes of problems, in turn.")] = OPS,
    seed: Annotated[int, typer.Option(help="Same seed, same problems.")] = 0,
    results: Annotated[Path | None, typer.Option(help="File that each op's figures are added to.")] = None,
) -> None:
    """Print how many problems each model solves, and how well the probe tells its wrong steps."""
    loaded = load(checkpoint)
    corpus = require_corpus(loaded, "can be measured")
    folder = load_settings({"checkpoint": checkpoint}).probes_folder
    stored = [each for each in (load_all(folder, loaded) if folder else ()) if each.card.name == PROBE]
    if not stored:
        raise typer.BadParameter(f"{checkpoint} has no probe {PROBE}")
    measured = stored_results(results)
    missing = [each for each in op if each not in measured]
    drawn = {each: draw_set(corpus, "validation", each, problems, seed) for each in missing}
    for size, found in both(checkpoint, [each.probe for each in stored], drawn):
        measured[size] = found
        if results:
            with results.open("a") as file:
                file.write(
                    json.dumps({"op": size} | {name: asdict(each) for name, each in found.items()}) + "\n"
                )
    Console().print(table_of(measured, f"{checkpoint.name}, {problems} problems per op, greedy"))
    total = together(measured)
    for precision, found in total.items():
        Console().print(f"{PROBE}, {precision}: {quality(found, stored[0].card)}")


def together(measured: dict[int, dict[Precision, Found]]) -> dict[Precision, Found]:
    """Of all ops."""
    total: dict[Precision, Found] = {each: Found() for each in PRECISIONS}
    for found in measured.values():
        for precision, each in found.items():
            total[precision].add(each)
    return total


def table_of(measured: dict[int, dict[Precision, Found]], title: str) -> Table:
    """Problems solved, and the difference."""
    table = Table(title=title)
    for column in ("op", "float32", "int8", "int8 - float32 (95%)", "by one only"):
        table.add_column(column, justify="right")
    for op in sorted(measured):
        table.add_row(*cells(str(op), measured[op]))
    table.add_row(*cells("all", together(measured)))
    return table


def quality(found: Found, card: ProbeCard) -> str:
    """How well the probe tells wrong steps."""
    threshold = next(
        each.threshold for each in card.thresholds if round(each.false_alarm_rate, 2) == FALSE_ALARMS
    )
    recall, alarms = at_threshold(found, threshold)
    low, high = wilson(recall * sum(found.wrong), sum(found.wrong))
    return (
        f"AUROC {auroc(found):.4f}, recall {recall:.3f} ({low:.3f} to {high:.3f}), "
        f"false alarms {alarms:.4f}; "
        f"{sum(found.wrong)} wrong steps of {len(found.wrong)}"
    )


def cells(name: str, found: dict[Precision, Found]) -> list[str]:
    """A row of the table."""
    whole, rounded = (np.array(found[each].solved) for each in ("float32", "int8"))
    return [name, f"{whole.mean():.1%}", f"{rounded.mean():.1%}", *compared(rounded, whole)]


def compared(rounded: Floats, whole: Floats) -> tuple[str, str]:
    """The difference with its interval, and how many problems one of the two solves alone."""
    counts = paired_counts(rounded, whole)
    estimate = difference(counts)
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return (
        f"{100 * estimate.value:+.2f} ({100 * estimate.low:+.2f} to {100 * estimate.high:+.2f}) points",
        f"+{counts.first_only} -{counts.second_only}",
    )


if __name__ == "__main__":
    typer.run(main)
