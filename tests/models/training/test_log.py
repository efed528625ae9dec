from pathlib import Path

import pytest

from models.training.log import LossRow, TrainingLog, ValidationRow
from tests.models.killed import lines_of, run_until

LOSSES = [LossRow(step, 1000 * step, 1 / step, 0.123456789, 1.0, 12.3456 * step) for step in (20, 40, 60)]
VALIDATIONS = [ValidationRow(40, 40_000, op, 10, 10 - op) for op in (1, 2)]


@pytest.fixture
def log(tmp_path: Path) -> TrainingLog:
    log = TrainingLog(tmp_path)
    log.start(0)
    for row in (*LOSSES[:2], *VALIDATIONS, LOSSES[2]):
        log.append(row)
    return log


def lines(folder: Path, name: str = "loss") -> list[str]:
    return (folder / f"{name}.csv").read_text().splitlines()


@pytest.mark.usefixtures("log")
def test_rows_are_written_at_once_and_readable(tmp_path: Path) -> None:
    assert lines(tmp_path) == [
        "step,tokens,loss,solution_loss,rate_factor,seconds",
        "20,20000,0.05,0.12346,1,246.91",
        "40,40000,0.025,0.12346,1,493.82",
        "60,60000,0.016667,0.12346,1,740.74",
    ]
    assert lines(tmp_path, "validation") == [
        "step,tokens,op,problems,correct",
        "40,40000,1,10,9",
        "40,40000,2,10,8",
    ]


@pytest.mark.parametrize(("step", "losses", "validations"), [(0, 0, 0), (20, 1, 0), (59, 2, 2), (60, 3, 2)])
def test_start_keeps_the_rows_up_to_a_step(
    tmp_path: Path, log: TrainingLog, step: int, losses: int, validations: int
) -> None:
    before = lines(tmp_path), lines(tmp_path, "validation")
    log.start(step)
    assert (lines(tmp_path), lines(tmp_path, "validation")) == (
        before[0][: 1 + losses],
        before[1][: 1 + validations],
    )


def test_log_goes_on_after_a_last_line_cut_anywhere(tmp_path: Path, log: TrainingLog) -> None:
    whole = (tmp_path / "loss.csv").read_bytes()
    last = whole.index(b"60,")
    for end in range(last, len(whole)):
        (tmp_path / "loss.csv").write_bytes(whole[:end])
        log.start(40)
        assert (tmp_path / "loss.csv").read_bytes() == whole[:last]
        log.append(LOSSES[2])
        assert (tmp_path / "loss.csv").read_bytes() == whole


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 50, b"\xff\xfe", b"a,b,c,d,e,f", b"20,1,1,1,1,x", b"1,2,3,4,5,6,7", b"\n\n"]
)
def test_garbage_at_the_end_is_dropped(tmp_path: Path, log: TrainingLog, garbage: bytes) -> None:
    path = tmp_path / "loss.csv"
    whole = path.read_bytes()
    path.write_bytes(whole + garbage)
    log.start(60)
    assert path.read_bytes() == whole


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a killed `with` leaves files
def test_kill_during_start_loses_no_row(tmp_path: Path, log: TrainingLog) -> None:
    kept = lines(tmp_path)[:3]
    for line in range(lines_of(lambda: log.start(60))):
        run_until(line, lambda: log.start(40))
        assert lines(tmp_path)[:3] == kept
        assert lines(tmp_path, "validation")[-1] == "40,40000,2,10,8"
