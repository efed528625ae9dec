"""Comparisons of a server, without the server: queue, stop, restart, and what goes wrong."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.compare.folder import OUTCOMES_FILE, RunFolder, read_outcomes
from app.compare.progress import Progress
from app.compare.runner import Comparison
from app.compare.served_model import ServedModel
from app.compare.server import job
from app.compare.server.comparisons import Comparisons
from app.compare.server.job import Job
from app.compare.server.state import ComparisonStatus, read_state
from app.compare.spec import ComparisonSpec
from app.engine.engine import Engine
from app.errors import (
    ComparisonFolderError,
    ComparisonStateError,
    EngineStoppedError,
    OverloadedError,
    ParameterError,
    UnknownComparisonError,
)
from models.checkpoint import LoadedCheckpoint
from tests.app.compare.running import GREEDY, WARM, engine_for, lasting, make_spec, run

LONG = 3000


def long_spec(count: int = LONG) -> ComparisonSpec:
    """More than is done before a test has looked."""
    problems = {"source": "corpus", "split": "train", "ops": [2, 4], "count": count}
    return make_spec(GREEDY, WARM, problems=problems)


@dataclass(frozen=True)
class OneModel:
    """Lends a model that is always there."""

    engine: Engine
    checkpoint: LoadedCheckpoint

    def require(self, spec: ComparisonSpec) -> None:
        assert spec.models == (None,)

    @contextmanager
    def lend(self, name: str | None) -> Generator[ServedModel]:
        assert name is None
        yield ServedModel(self.engine, self.checkpoint)


@contextmanager
def comparing(root: Path, checkpoint: LoadedCheckpoint) -> Generator[tuple[Comparisons, Engine]]:
    """Comparisons that run, and their engine."""
    comparisons = Comparisons(root)
    with engine_for(checkpoint) as engine:
        comparisons.start(OneModel(engine, checkpoint))
        try:
            yield comparisons, engine
        finally:
            comparisons.stop()


@dataclass(frozen=True)
class OneModelLater(OneModel):
    """Has no memory for its model until it is told; a submission finds it there."""

    free: threading.Event
    asked: threading.Event

    @contextmanager
    def lend(self, name: str | None) -> Generator[ServedModel]:
        if threading.current_thread().name == "demur-compare":
            self.asked.set()
            if not self.free.is_set():
                raise OverloadedError("There is no memory.")
        with super().lend(name) as lent:
            yield lent


def wait(comparisons: Comparisons, id: str, *, outcomes: int | None = None) -> ComparisonStatus:
    """Wait until a comparison has so many outcomes; else, until it is over."""
    changed = threading.Event()
    unwatch = comparisons.look(id, lambda job: job).watch(changed.set)
    try:
        while True:
            changed.clear()
            status = comparisons.status(id)
            if not status.unfinished or (outcomes is not None and status.done >= outcomes):
                return status
            assert changed.wait(60)
    finally:
        unwatch()


def test_what_was_stopped_goes_on_in_the_next_process(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    spec = long_spec(60)
    root = tmp_path / "comparisons"
    with comparing(root, checkpoint) as (comparisons, _):
        id, second = comparisons.submit(spec).id, comparisons.submit(make_spec()).id
        seen = wait(comparisons, id, outcomes=20).done
    assert read_state(root / id).status == "queued"
    assert len(read_outcomes(root / id)) >= seen
    with comparing(root, checkpoint) as (comparisons, _):
        assert [each.id for each in comparisons.list()] == [second, id]
        assert wait(comparisons, id).status == "done"
        assert wait(comparisons, second).status == "done"
    undisturbed = run(checkpoint, spec, tmp_path / "undisturbed")
    assert lasting(read_outcomes(root / id)) == lasting(undisturbed)
    report = json.loads((root / id / "report.json").read_text())
    assert report["finished"]
    assert "greedy" in (root / id / "report.html").read_text()


@pytest.mark.parametrize("what", ["report", "page", "outcomes"])
def test_what_is_deleted_while_somebody_reads_it_is_unknown(
    what: str, checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    with comparing(tmp_path / "comparisons", checkpoint) as (comparisons, _):
        id = comparisons.submit(long_spec()).id
        wait(comparisons, id, outcomes=1)
        comparisons.cancel(id)
        wait(comparisons, id)

        def read(job: Job) -> object:
            comparisons.delete(id)
            match what:
                case "report":
                    return job.findings.report(growing=False)
                case "page":
                    return job.findings.page(growing=False)
                case _:
                    return job.findings.lines(OUTCOMES_FILE, 0, 10)

        with pytest.raises(UnknownComparisonError, match=id):
            comparisons.look(id, read)


def test_a_folder_that_is_damaged_is_not_taken_for_deleted(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    root = tmp_path / "comparisons"
    with comparing(root, checkpoint) as (comparisons, _):
        id = comparisons.submit(long_spec()).id
        wait(comparisons, id, outcomes=1)
        comparisons.cancel(id)
        wait(comparisons, id)
        (root / id / "about.json").unlink()
        with pytest.raises(ComparisonFolderError, match=r"about\.json"):
            comparisons.look(id, lambda job: job.findings.page(growing=False))


def test_a_comparison_waits_where_its_engine_breaks(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    with comparing(tmp_path, checkpoint) as (comparisons, engine):
        id = comparisons.submit(long_spec()).id
        wait(comparisons, id, outcomes=5)
        engine.stop()
        while comparisons.status(id).status != "queued":
            threading.Event().wait(0.01)
        with pytest.raises(EngineStoppedError):
            comparisons.submit(make_spec())
        assert comparisons.cancel(id).status == "cancelled"
        with pytest.raises(EngineStoppedError):
            comparisons.resume(id)


def test_a_comparison_begun_on_other_weights_fails_and_says_so(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    with comparing(tmp_path, checkpoint) as (comparisons, _):
        id = comparisons.submit(long_spec()).id
        wait(comparisons, id, outcomes=5)
    about = json.loads((tmp_path / id / "about.json").read_text())
    about["checkpoint"]["weights"] = "0" * 64
    (tmp_path / id / "about.json").write_text(json.dumps(about))
    with comparing(tmp_path, checkpoint) as (comparisons, _):
        status = wait(comparisons, id)
        assert status.status == "failed"
        assert "checkpoint.weights" in (status.error or "")
        assert wait(comparisons, comparisons.submit(make_spec()).id).status == "done"


@pytest.mark.parametrize("then", ["free", "cancel", "stop"])
def test_a_run_waits_for_memory(checkpoint: LoadedCheckpoint, tmp_path: Path, then: str) -> None:
    free, asked = threading.Event(), threading.Event()
    comparisons = Comparisons(tmp_path)
    with engine_for(checkpoint) as engine:
        comparisons.start(OneModelLater(engine, checkpoint, free, asked))
        id = comparisons.submit(make_spec()).id
        assert asked.wait(60)
        assert comparisons.status(id).status == "running"
        match then:
            case "free":
                free.set()
                assert wait(comparisons, id).status == "done"
            case "cancel":
                comparisons.cancel(id)
                assert wait(comparisons, id).status == "cancelled"
            case _:
                comparisons.stop()
                assert read_state(tmp_path / id).status == "queued"
        comparisons.stop()


def test_one_process_has_the_folder(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    with comparing(tmp_path, checkpoint) as (first, engine):
        first.submit(make_spec())
        second = Comparisons(tmp_path)
        with pytest.raises(ComparisonFolderError, match="another server"):
            second.start(OneModel(engine, checkpoint))
        with pytest.raises(ComparisonFolderError, match="another server"):
            second.list()
        first.stop()
        assert len(second.list()) == 1
        second.stop()


def test_so_many_may_wait(
    checkpoint: LoadedCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.compare.server.comparisons.MAX_QUEUED", 1)
    with comparing(tmp_path, checkpoint) as (comparisons, _):
        running = comparisons.submit(long_spec()).id
        wait(comparisons, running, outcomes=1)
        comparisons.submit(make_spec())
        with pytest.raises(OverloadedError, match="1 comparisons are waiting"):
            comparisons.submit(make_spec())
        assert comparisons.counts() == {
            "queued": 1,
            "running": 1,
            "done": 0,
            "failed": 0,
            "cancelled": 0,
            "damaged": 0,
        }


def test_how_many_there_are_is_told_while_a_submission_waits_for_its_disk(
    checkpoint: LoadedCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, written = threading.Event(), threading.Event()

    open_folder = Comparison.folder

    def slowly(self: Comparison, path: Path, *, must_exist: bool = False) -> RunFolder:
        writing.set()
        assert written.wait(60)
        return open_folder(self, path, must_exist=must_exist)

    monkeypatch.setattr(Comparison, "folder", slowly)
    comparisons = Comparisons(tmp_path)
    with engine_for(checkpoint) as engine:
        comparisons.start(OneModel(engine, checkpoint))
        submitting = threading.Thread(target=comparisons.submit, args=(make_spec(),))
        submitting.start()
        try:
            assert writing.wait(60)
            counting = threading.Thread(target=comparisons.counts)
            counting.start()
            counting.join(5)
            assert not counting.is_alive()
        finally:
            written.set()
            submitting.join()
            comparisons.stop()


def test_too_many_problems_are_not_drawn(
    checkpoint: LoadedCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "MAX_PROBLEMS", 5)
    with comparing(tmp_path, checkpoint) as (comparisons, _):
        with pytest.raises(ParameterError, match="at most 5") as raised:
            comparisons.submit(make_spec(count=6))
        assert raised.value.param == "problems.count"
        with pytest.raises(ParameterError, match="op 1 to 9"):
            comparisons.submit(make_spec(count=5, ops=(8, 10)))


def test_states_that_do_not_allow_it(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    with comparing(tmp_path, checkpoint) as (comparisons, _):
        id = comparisons.submit(long_spec()).id
        wait(comparisons, id, outcomes=1)
        with pytest.raises(ComparisonStateError, match="cancel it first"):
            comparisons.delete(id)
        with pytest.raises(ComparisonStateError, match="is running"):
            comparisons.resume(id)
        comparisons.cancel(id)
        assert wait(comparisons, id).status == "cancelled"
        comparisons.delete(id)
        for ask in (comparisons.status, comparisons.cancel, comparisons.resume, comparisons.delete):
            with pytest.raises(UnknownComparisonError, match=id):
                ask(id)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_nothing_begins_after_the_stop(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    comparisons = Comparisons(tmp_path / "none")
    comparisons.stop()
    with engine_for(checkpoint) as engine:
        comparisons.start(OneModel(engine, checkpoint))
        with pytest.raises(EngineStoppedError):
            comparisons.submit(make_spec())
    assert not (tmp_path / "none").exists()


def test_a_report_is_of_now_unless_more_is_coming(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    with comparing(tmp_path, checkpoint) as (comparisons, _):
        id = comparisons.submit(long_spec()).id
        wait(comparisons, id, outcomes=10)
        found = comparisons.look(id, lambda job: job.findings)

        def problems(*, growing: bool) -> int:
            return json.loads(found.report(growing=growing))["arms"][0]["problems"]

        first = problems(growing=True)
        wait(comparisons, id, outcomes=2 * first + 60)
        assert problems(growing=True) >= first
        comparisons.cancel(id)
        done = wait(comparisons, id).done
        greedy = sum(each.arm == "greedy" for each in read_outcomes(tmp_path / id))
        assert first < problems(growing=False) == greedy < done


def test_the_pace_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    progress = Progress(total=20, done=0)
    progress.begin(8)
    clock[0] = 150.0
    progress.advance()
    assert progress.eta_s is None
    for _ in range(3):
        clock[0] += 2.0
        progress.advance()
    assert progress.done == 12
    assert progress.eta_s == pytest.approx(2.0 * 8)
