"""Outcomes as numbers: one row per problem, one column per arm."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.compare.outcome import Outcome
from app.compare.results import Measure

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Every array is [problems, arms]; NaN is unknown: not finished, or a problem without an answer.

    problems: by their names, sorted, so that nothing depends on the order in which they were finished.
    groups: of the problems, None where they have none. right: 0 to 1 by the report's measure.
    answer_right: 1 or 0 by the answer alone. kept, discarded, rows, events: counts. latency: seconds.
    """

    problems: tuple[str, ...]
    groups: tuple[str | None, ...]
    right: Floats
    answer_right: Floats
    answered: Floats
    kept: Floats
    discarded: Floats
    rows: Floats
    events: Floats
    latency: Floats

    @property
    def tokens(self) -> Floats:
        """All tokens computed."""
        return self.kept + self.discarded

    @property
    def group_names(self) -> list[str]:
        """Each group once, numbers in their names in order of size."""
        return sorted({group for group in self.groups if group is not None}, key=natural)

    def of_group(self, group: str) -> NDArray[np.bool_]:
        """Which problems are of a group."""
        return np.array([each == group for each in self.groups], dtype=bool)


def tabulate(arms: Sequence[str], outcomes: Sequence[Outcome], measure: Measure | None) -> Table:
    """The table of the outcomes.

    Raises:
        ValueError: an outcome is of an unknown arm, there are two of one problem and arm, or a problem is in
            two groups.
    """
    groups: dict[str, str | None] = {}
    for outcome in outcomes:
        if groups.setdefault(outcome.problem, outcome.group) != outcome.group:
            first = groups[outcome.problem]
            raise ValueError(f"problem {outcome.problem!r} is in two groups: {first!r}, {outcome.group!r}")
    problems = sorted(groups)
    row_of = {problem: row for row, problem in enumerate(problems)}
    column_of = {arm: column for column, arm in enumerate(arms)}
    fields = np.full((8, len(problems), len(arms)), np.nan)
    seen: set[tuple[str, str]] = set()
    for outcome in outcomes:
        if outcome.arm not in column_of:
            raise ValueError(f"an outcome is of the arm {outcome.arm!r}; the arms are {', '.join(arms)}")
        if outcome.key in seen:
            raise ValueError(f"problem {outcome.problem!r} has two outcomes of the arm {outcome.arm!r}")
        seen.add(outcome.key)
        fields[:, row_of[outcome.problem], column_of[outcome.arm]] = (
            _number(worth_by(outcome, measure)),
            _number(None if outcome.correct is None else outcome.correct and not outcome.abstained),
            not outcome.abstained,
            outcome.completion_tokens,
            outcome.discarded_tokens,
            outcome.forward_rows,
            outcome.events,
            outcome.latency_s,
        )
    return Table(tuple(problems), tuple(groups[problem] for problem in problems), *fields)


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by, in which "op 2" is before "op 10"."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]


def worth_by(outcome: Outcome, measure: Measure | None) -> float | None:
    """What an outcome counts, 0 to 1: its score, or whether it is right. None if it is not judged; an
    abstention counts 0."""
    match measure:
        case None:
            return None
        case "solved":
            worth = outcome.solved
        case "correct":
            worth = outcome.correct
        case "score":
            worth = outcome.score
    return None if worth is None else float(worth) * (not outcome.abstained)


def _number(truth: float | None) -> float:
    return np.nan if truth is None else float(truth)
