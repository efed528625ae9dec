"""The log of a run: two small CSV files that survive a kill and a resume without gaps or repeats."""

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from models.files import write_atomically


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
            path, names = self._path(row_type), [field.name for field in fields(row_type)]
            kept = [cells for cells in _whole_rows(path, len(names)) if int(cells[0]) <= step]
            text = io.StringIO(newline="")
            csv.writer(text).writerows([names, *kept])
            write_atomically(path, text.getvalue().encode())

    def append(self, row: LossRow | ValidationRow) -> None:
        """Add a row."""
        cells = [f"{cell:.5g}" if isinstance(cell, float) else cell for cell in astuple(row)]
        with self._path(type(row)).open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(cells)

    def _path(self, row_type: type[LossRow] | type[ValidationRow]) -> Path:
        return self._folder / ("loss.csv" if row_type is LossRow else "validation.csv")


def _whole_rows(path: Path, width: int) -> list[list[str]]:
    """Rows below the heading, less what a kill or a crash of the machine has cut off or garbled."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.reader(file))
    return [
        cells
        for cells in rows[1:]
        if len(cells) == width and cells[0].isdecimal() and all(map(_is_number, cells))
    ]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
