"""The log of a run: two small CSV files that survive a kill and a resume without gaps or repeats."""

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LossRow:
    """Mean losses, in nats per token, since the previous row; `solution_loss` leaves the prompts out."""

    step: int
    tokens: int
    loss: float
    solution_loss: float
    rate_factor: float
    seconds: float


@dataclass(frozen=True)
class ValidationRow:
    """Whole solutions correct, greedy, among `problems` validation problems of one op."""

    step: int
    tokens: int
    op: int
    problems: int
    correct: int


class TrainingLog:
    """`loss.csv` and `validation.csv` in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, step: int) -> None:
        """Keep the rows up to `step`, from which the run goes on; the later ones will be written again."""
        for row_type in (LossRow, ValidationRow):
            path = self._path(row_type)
            kept = [row for row in _read(path) if int(row["step"]) <= step]
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, [field.name for field in fields(row_type)])
                writer.writeheader()
                writer.writerows(kept)

    def append(self, row: LossRow | ValidationRow) -> None:
        """Add a row."""
        values = {
            name: f"{value:.5g}" if isinstance(value, float) else value for name, value in asdict(row).items()
        }
        with self._path(type(row)).open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, list(values)).writerow(values)

    def _path(self, row_type: type[LossRow] | type[ValidationRow]) -> Path:
        return self._folder / ("loss.csv" if row_type is LossRow else "validation.csv")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values() and row["step"]]
