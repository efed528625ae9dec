"""A comparison on disk: a folder that pandas and DuckDB read as it is, and that a killed run goes on from."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError

from app.compare.about import About
from app.compare.lines import Lines, read_lines, unusable
from app.compare.outcome import LatencySample, Outcome
from app.compare.problem_sets.problem import Problem
from app.compare.spec import ComparisonSpec, parse_spec
from app.errors import ComparisonFolderError, ParameterError
from models.errors import ArtifactError
from models.files import read_json, write_atomically

SPEC_FILE, ABOUT_FILE, PROBLEMS_FILE = "spec.json", "about.json", "problems.jsonl"
OUTCOMES_FILE, LATENCY_FILE = "outcomes.jsonl", "latency.jsonl"
REPORT_FILE, PAGE_FILE = "report.json", "report.html"

_DECIDES = ("checkpoint", "calibration", "probes", "models")


class RunFolder:
    """A folder that this process alone appends to, until it is closed or the process ends."""

    def __init__(self, path: Path) -> None:
        """Open a folder that was made before; a torn last line is cut off.

        Raises:
            ComparisonFolderError: it is no folder of a comparison, is damaged, or another process writes it.
        """
        self.path = path
        self.spec = read_spec(path)
        self.about = read_about(path)
        with ExitStack() as opened:
            self._lines = opened.enter_context(closing(Lines(path / OUTCOMES_FILE)))
            self._latency_lines = opened.enter_context(closing(Lines(path / LATENCY_FILE)))
            self.outcomes: list[Outcome] = read_lines(path / OUTCOMES_FILE, Outcome)
            self.latency: list[LatencySample] = read_lines(path / LATENCY_FILE, LatencySample)
            opened.pop_all()

    @classmethod
    def create_or_resume(
        cls,
        path: Path,
        spec: ComparisonSpec,
        about: About,
        problems: Iterable[Problem],
        *,
        must_exist: bool = False,
    ) -> "RunFolder":
        """The folder of a run: a new one, unless it `must_exist`, or the one that the same run left behind.

        Raises:
            ComparisonFolderError: the folder is of another comparison, or of another checkpoint, calibration
                or probe (the message names the first field that differs), or it holds something else.
        """
        path = path.absolute()
        if not (must_exist or (path / SPEC_FILE).exists()):
            _create(path, spec, about, problems)
        folder = cls(path)
        try:
            _require_same(path, SPEC_FILE, _plain(folder.spec), _plain(spec))
            old, new = ({field: _plain(each)[field] for field in _DECIDES} for each in (folder.about, about))
            _require_same(path, ABOUT_FILE, old, new)
        except ComparisonFolderError:
            folder.close()
            raise
        return folder

    def append(self, outcome: Outcome) -> None:
        """Keep an outcome; when this returns, it is on disk."""
        self._lines.append(outcome.line())
        self.outcomes.append(outcome)

    def replace_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Keep others in the place of all outcomes; they are on disk together, or none of them is."""
        outcomes = list(outcomes)
        self._lines.replace([each.line() for each in outcomes])
        self.outcomes[:] = outcomes

    def append_latency(self, sample: LatencySample) -> None:
        """Keep a sample; when this returns, it is on disk."""
        self._latency_lines.append(sample.line())
        self.latency.append(sample)

    def require_in_place(self) -> None:
        """Raise `ComparisonFolderError` if the folder, or what is appended to, was taken away meanwhile."""
        self._lines.require_in_place()
        self._latency_lines.require_in_place()

    def write_report(self, report: str, page: str) -> None:
        """Replace report.json and report.html, each in one go."""
        try:
            write_atomically(self.path / REPORT_FILE, report.encode())
            write_atomically(self.path / PAGE_FILE, page.encode())
        except OSError as error:
            raise unusable(self.path, error) from error

    def close(self) -> None:
        """Let other processes have it."""
        self._lines.close()
        self._latency_lines.close()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_spec(path: Path) -> ComparisonSpec:
    """The spec of a run.

    Raises:
        ComparisonFolderError: there is none, or it is damaged.
    """
    try:
        return parse_spec(read_json(path / SPEC_FILE))
    except ArtifactError as error:
        raise ComparisonFolderError(f"{path} is no folder of a comparison: {error}") from error
    except ParameterError as error:
        raise ComparisonFolderError(
            f"{path / SPEC_FILE} is damaged, or of another version: {error}"
        ) from error


def read_about(path: Path) -> About:
    """What a run runs on.

    Raises:
        ComparisonFolderError: there is no such file, or it is damaged.
    """
    try:
        return About.model_validate(read_json(path / ABOUT_FILE))
    except ArtifactError as error:
        raise ComparisonFolderError(f"{path} is no folder of a comparison: {error}") from error
    except ValidationError as error:
        raise ComparisonFolderError(
            f"{path / ABOUT_FILE} is damaged, or of another version: {error.errors()[0]['msg']}."
        ) from error


def read_outcomes(path: Path) -> list[Outcome]:
    """The outcomes that a run has so far, whoever is writing them."""
    return read_lines(path / OUTCOMES_FILE, Outcome)


def read_latency(path: Path) -> list[LatencySample]:
    """The latency samples that a run has so far, whoever is writing them."""
    return read_lines(path / LATENCY_FILE, LatencySample)


def _create(path: Path, spec: ComparisonSpec, about: About, problems: Iterable[Problem]) -> None:
    """Begin a run. The spec comes last, so where there is none, no run has begun, whatever a kill left."""
    lines = (
        json.dumps(
            {"id": each.id, "group": each.group, "prompt": each.prompt, "answer": each.answer},
            ensure_ascii=False,
        )
        for each in problems
    )
    for name in (OUTCOMES_FILE, LATENCY_FILE, REPORT_FILE, PAGE_FILE):
        if (path / name).exists():
            raise ComparisonFolderError(
                f"{path} holds {name}, but no {SPEC_FILE}, so it is of no comparison; choose another folder."
            )
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / ABOUT_FILE, (about.model_dump_json(indent=2) + "\n").encode())
        write_atomically(path / PROBLEMS_FILE, "".join(f"{line}\n" for line in lines).encode())
        write_atomically(path / SPEC_FILE, (json.dumps(_plain(spec), indent=2) + "\n").encode())
    except OSError as error:
        raise unusable(path, error) from error


def _plain(model: BaseModel) -> dict[str, JsonValue]:
    return json.loads(model.model_dump_json())


def _require_same(path: Path, file: str, old: JsonValue, new: JsonValue) -> None:
    was, now = dict(_leaves(old, "")), dict(_leaves(new, ""))
    for place in dict.fromkeys((*was, *now)):
        there, here = (json.dumps(each[place]) if place in each else "absent" for each in (was, now))
        if there != here:
            raise ComparisonFolderError(
                f"{path} is of another run: {place} is {there} in its {file}, and {here} now. Go on with "
                "what it was begun with, or choose another folder."
            )


def _leaves(value: JsonValue, place: str) -> Iterator[tuple[str, JsonValue]]:
    """Every value within a JSON value that holds no other, and where it is, such as `arms[0].name`."""
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _leaves(each, f"{place}.{name}" if place else name)
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _leaves(each, f"{place}[{index}]")
    else:
        yield place, value
