"""Texts of the arms beside each other, for the problems on which they are most worth reading."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.compare.outcome import Outcome
from app.compare.problem_sets.sources import GivenProblems
from app.compare.results import ComparisonReport, Measure
from app.compare.several_sets import parts_of
from app.compare.table import natural, worth_by

MOST_PROMPTS = 40
MOST_DISAGREEMENTS = 8


@dataclass(frozen=True)
class Piece:
    """A token, or a whole text. heat: 0 to 100, its signal on the scale of all; None: no signal."""

    text: str
    value: str | None
    heat: float | None


@dataclass(frozen=True)
class ArmText:
    """What an arm wrote. worth: 0 to 1, None where nothing is judged."""

    arm: str
    worth: float | None
    abstained: bool
    answer: str | None
    tokens: int
    discarded: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class ProblemTexts:
    """A problem with every arm's text. prompt: None where the report does not know it."""

    problem: str
    prompt: str | None
    expected: str | None
    texts: tuple[ArmText, ...]


@dataclass(frozen=True)
class Texts:
    """left_out: problems that are not shown. highest: the signal's value that has full colour."""

    rows: tuple[ProblemTexts, ...]
    left_out: int
    signal: str | None
    highest: float | None


def side_by_side(report: ComparisonReport, outcomes: Sequence[Outcome]) -> Texts:
    """All prompts in order where nothing is judged; else the problems on which the arms disagree most."""
    by_problem: dict[str, dict[str, Outcome]] = {}
    for outcome in outcomes:
        by_problem.setdefault(outcome.problem, {})[outcome.arm] = outcome
    prompts = _prompts(report)
    chosen = (
        _prompts_first(by_problem, prompts) if report.measure is None else _disagreements(report, by_problem)
    )
    shown = [outcome for problem in chosen for outcome in by_problem[problem].values()]
    signal = report.spec.signals[0] if report.spec.signals else None
    values = [
        token.signals[signal]
        for outcome in shown
        for token in outcome.tokens or ()
        if signal is not None and signal in token.signals
    ]
    highest = float(np.quantile(values, 0.98)) if values else None
    rows = tuple(
        ProblemTexts(
            problem=problem,
            prompt=prompts.get(problem),
            expected=next((each.expected for each in by_problem[problem].values()), None),
            texts=tuple(
                _written(by_problem[problem][arm.name], report.measure, signal, highest)
                for arm in report.arms
                if arm.name in by_problem[problem]
            ),
        )
        for problem in chosen
    )
    return Texts(rows, len(by_problem) - len(chosen), signal if values else None, highest)


def _prompts(report: ComparisonReport) -> dict[str, str]:
    return {
        part.id_of(name): item.prompt
        for part in parts_of(report.spec.problems)
        if isinstance(part.problems, GivenProblems)
        for name, item in zip(part.problems.ids, part.problems.items, strict=True)
    }


def _prompts_first(by_problem: dict[str, dict[str, Outcome]], prompts: dict[str, str]) -> list[str]:
    return [problem for problem in prompts if problem in by_problem][:MOST_PROMPTS]


def _disagreements(report: ComparisonReport, by_problem: dict[str, dict[str, Outcome]]) -> list[str]:
    def evenness(problem: str) -> float:
        """0 where half of the arms are right."""
        known = [worth_by(each, report.measure) for each in by_problem[problem].values()]
        judged = [float(each) for each in known if each is not None]
        return abs(sum(judged) / len(judged) - 0.5) if judged else 1.0

    disputed = [problem for problem in by_problem if evenness(problem) < 0.5]
    return sorted(disputed, key=lambda problem: (evenness(problem), natural(problem)))[:MOST_DISAGREEMENTS]


def _written(outcome: Outcome, measure: Measure | None, signal: str | None, highest: float | None) -> ArmText:
    return ArmText(
        arm=outcome.arm,
        worth=worth_by(outcome, measure),
        abstained=outcome.abstained,
        answer=outcome.answer,
        tokens=outcome.completion_tokens,
        discarded=outcome.discarded_tokens,
        pieces=_pieces(outcome, signal, highest),
    )


def _pieces(outcome: Outcome, signal: str | None, highest: float | None) -> tuple[Piece, ...]:
    if signal is None or not outcome.tokens:
        return (Piece(outcome.text, None, None),)
    pieces: list[Piece] = []
    for token in outcome.tokens:
        value = token.signals.get(signal)
        if value is None:
            pieces.append(Piece(token.text, None, None))
        else:
            heat = 100 * min(max(value, 0.0) / highest, 1.0) if highest and highest > 0 else 0.0
            pieces.append(Piece(token.text, f"{value:.3g}", round(heat, 1)))
    return tuple(pieces)
