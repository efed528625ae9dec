"""Counting wrong answers for `demur calibrate`, and showing what the counts allow."""

from itertools import islice
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from app.decoding.calibration.doubt import DoubtName
    from app.decoding.calibration.risk_table import RiskCounts, RiskTable
    from app.decoding.core.types import StoppingParams
    from app.measure.risk_counting import Question
    from models.checkpoint import LoadedCheckpoint
    from models.corpora.corpus import Corpus, DrawnProblem

SPLIT: Literal["calibration"] = "calibration"
_DELTA = 0.1
_LEVELS = (0.01, 0.02, 0.05, 0.1)


def count_risk(
    loaded: "LoadedCheckpoint", corpus: "Corpus", ops: range, count: int, seed: int
) -> "RiskTable":
    """Answer problems of the calibration split greedily, and count the wrong answers by score of doubt.

    Raises:
        ProbesError: the probes of the checkpoint do not fit it.
    """
    from app.decoding.calibration.risk_table import RiskTable
    from models.corpora.drawing import problems

    asked = (
        _question(loaded, problem, corpus) for problem in islice(problems(corpus, SPLIT, seed, ops), count)
    )
    scores = answer_questions(loaded, asked, count)
    return RiskTable(split=SPLIT, op_min=ops.start, op_max=ops.stop - 1, seed=seed, scores=scores)


def answer_questions(
    loaded: "LoadedCheckpoint",
    questions: "Iterable[Question]",
    count: int,
    stopping: "StoppingParams | None" = None,
) -> "dict[DoubtName, RiskCounts]":
    """Answer questions greedily with the installed probes, and count the wrong answers by score of doubt.

    Args:
        stopping: where answers end, besides where the model ends them; by default the model's context.

    Raises:
        ProbesError: the probes of the checkpoint do not fit it.
    """
    from rich.console import Console as StderrConsole
    from rich.progress import Progress

    from app.engine.engine import Engine
    from app.measure.risk_counting import count_risks, grade
    from app.settings import load_settings
    from probes.store import load_all

    folder = load_settings({"checkpoint": loaded.path}).probes_folder
    probes = [stored.probe for stored in load_all(folder, loaded)]
    with (
        Engine(loaded, probes=probes) as engine,
        Progress(console=StderrConsole(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("answering", total=count)
        return count_risks(list(grade(engine, questions, lambda: progress.advance(task), stopping)))


def _question(loaded: "LoadedCheckpoint", problem: "DrawnProblem", corpus: "Corpus") -> "Question":
    from app.measure.risk_counting import Question
    from models.corpora.corpus import judge

    def is_wrong(solution: str) -> bool:
        return not judge(corpus, problem.prompt, solution).answer_correct

    return Question(tuple(loaded.tokenizer.encode_prompt(problem.prompt)), is_wrong)


def show_risk(table: "RiskTable", console: "Console") -> None:
    """What share of the problems is answered at some levels of the selective risk, by score."""
    from rich.table import Table

    from app.decoding.calibration.risk import RiskKind, choose, lowest_level

    kind: RiskKind = "selective"
    shown = Table(title=f"share of problems answered, wrong among them at most ... (delta {_DELTA})")
    for heading in ("score", "lowest level", *(f"{level:.0%}" for level in _LEVELS)):
        shown.add_column(heading, justify="left" if heading == "score" else "right", no_wrap=True)
    for name, counts in table.scores.items():
        chosen = [choose(counts.tuning, counts.tested, kind, level, _DELTA) for level in _LEVELS]
        answered = [
            "-" if each is None else f"{counts.tested.answered[each.index] / counts.tested.problems:.1%}"
            for each in chosen
        ]
        lowest = lowest_level(counts.tuning, counts.tested, kind, _DELTA)
        shown.add_row(name, f"{lowest:.2%}", *answered)
    console.print(shown)
