"""Runs a finding stage by stage. What is done is kept in a folder, so that a kill costs at most a minute."""

import fcntl
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

from app.findings.finding import Bench, Finding, Size, Stage, StageResult
from models.errors import ArtifactError
from models.files import read_json, write_json

BEGUN_FILE = "begun.json"
LOCK_FILE = "lock"
SPENT_SUFFIX = ".spent"
"""Of the file that says what a stage took before it was stopped; what a kill interrupts is not counted."""
Results = Mapping[int, Mapping[str, StageResult]]
"""Of every stage that is done, by seed."""


@dataclass(frozen=True)
class Watcher:
    """Whoever looks on: told which stage of which seed begins, and how much of all is done, from 0 to 1."""

    stage: Callable[[str, int], None] = lambda _name, _seed: None
    done: Callable[[float], None] = lambda _share: None


@dataclass(frozen=True)
class Task:
    """A stage of one seed, and where its result is kept."""

    seed: int
    stage: Stage
    file: Path


def tasks_of(finding: Finding, size: Size, seeds: Sequence[int], state: Path) -> list[Task]:
    """Every stage of every seed, in the order of the stages, so that all seeds get equally far.

    Raises:
        ArtifactError: the finding cannot be run yet.
    """
    if finding.experiment is None:
        raise ArtifactError(f"{finding.name} has been declared, but nobody has written how to run it")
    by_seed = {seed: finding.experiment.stages(size, seed) for seed in seeds}
    return [
        Task(seed, by_seed[seed][number], folder_of(state, finding, size, seed) / f"{stage.name}.json")
        for number, stage in enumerate(by_seed[seeds[0]])
        for seed in seeds
    ]


def run(
    finding: Finding,
    size: Size,
    seeds: Sequence[int],
    state: Path,
    watcher: Watcher | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    device: str = "auto",
) -> Results:
    """Work on what is not done yet.

    Args:
        state: folder of all that is under way; made if needed. device: where networks are trained.

    Raises:
        Stopped: somebody wanted it to end before all was done.
        ArtifactError: the finding cannot be run yet, what was kept is damaged, or another process runs it.
    """
    tasks = tasks_of(finding, size, seeds, state)
    with _alone_in(state / finding.name / size):
        _work_on(tasks, finding, size, state, watcher or Watcher(), should_stop, device)
    return kept(finding, size, seeds, state)


@contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    """Keep other processes out of a folder, until this one is done or dead. Raises `ArtifactError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ArtifactError(
                f"another process works in {folder}; wait for it, or give another state folder"
            ) from error
        yield


def _work_on(
    tasks: Sequence[Task],
    finding: Finding,
    size: Size,
    state: Path,
    watcher: Watcher,
    should_stop: Callable[[], bool],
    device: str,
) -> None:
    total = sum(task.stage.cost for task in tasks)
    first = state / finding.name / size / BEGUN_FILE
    if not first.exists():
        write_json(first, {"begun": datetime.now(UTC).isoformat(timespec="seconds")})
    done = 0.0
    for task in tasks:
        cost, before = task.stage.cost, done
        done += cost
        if not task.file.exists():
            watcher.stage(task.stage.name, task.seed)
            task.file.parent.mkdir(parents=True, exist_ok=True)
            began = process_time()

            def told(share: float, before: float = before, cost: float = cost) -> None:
                watcher.done((before + share * cost) / total)

            spent = task.file.with_suffix(SPENT_SUFFIX)
            earlier = float(str(read_json(spent)["processor_seconds"])) if spent.exists() else 0.0
            try:
                result = task.stage.work(Bench(task.file.parent, told, should_stop, device))
            except BaseException:
                write_json(spent, {"processor_seconds": earlier + process_time() - began})
                raise
            seconds = round(earlier + process_time() - began, 1)
            write_json(task.file, {**result, "processor_seconds": seconds})
        watcher.done(done / total)


def adopt(finding: Finding, size: Size, state: Path, begun: str, results: Results) -> None:
    """Take over stages that have been done elsewhere, so that they are not done again."""
    first = state / finding.name / size / BEGUN_FILE
    for seed, stages in results.items():
        folder = folder_of(state, finding, size, seed)
        folder.mkdir(parents=True, exist_ok=True)
        for name, result in stages.items():
            if not (folder / f"{name}.json").exists():
                write_json(folder / f"{name}.json", result)
    if results and (not first.exists() or begun < when_begun(finding, size, state)):
        write_json(first, {"begun": begun})


def when_begun(finding: Finding, size: Size, state: Path) -> str:
    """When the first stage began, in UTC.

    Raises:
        ArtifactError: none has.
    """
    return str(read_json(state / finding.name / size / BEGUN_FILE)["begun"])


def kept(finding: Finding, size: Size, seeds: Sequence[int], state: Path) -> Results:
    """Results of the stages that are done."""
    tasks = tasks_of(finding, size, seeds, state)
    return {
        seed: {
            task.stage.name: read_json(task.file)
            for task in tasks
            if task.seed == seed and task.file.exists()
        }
        for seed in seeds
    }


def folder_of(state: Path, finding: Finding, size: Size, seed: int) -> Path:
    """Where a seed's stages work, and leave their results."""
    return state / finding.name / size / f"seed {seed}"
