"""What `demur compare` is asked for, from a file, from flags, or from both."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from app.commands.options import from_shell
from app.commands.problem_flags import with_fields
from app.commands.strategy_flag import require_kind
from app.compare.results import ComparisonReport
from app.compare.spec import Arm, ComparisonSpec, parse_spec
from app.compare.summary import measure_of
from app.decoding.strategies import COMPARED
from app.errors import ParameterError

_ARM = re.compile(r"(?:(?P<name>[^=:{}]+)=)?(?P<kind>[^=:{}]+)(?::(?P<fields>\{.*\}))?", re.DOTALL)
_FIELDS_OF_ARMS = Arm.model_fields.keys() - {"name", "strategy"}
_OPS = re.compile(r"(\d+)(?:-(\d+))?")


def read_spec_file(path: Path) -> dict[str, Any]:
    """The fields in a YAML or JSON file.

    Raises:
        ParameterError: it cannot be read, or holds no mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"cannot read {path}: {error}", param="SPEC") from error
    except yaml.YAMLError as error:
        raise ParameterError(f"{path} is not YAML: {error}", param="SPEC") from error
    if not isinstance(data, dict):
        raise ParameterError(f"{path} must hold a mapping with the field arms, at least.", param="SPEC")
    return data


def arm_of_flag(given: str) -> dict[str, Any]:
    """An arm, from `KIND`, `KIND:{...}`, `NAME=KIND` or `NAME=KIND:{...}`.

    The object holds parameters of the strategy and fields of the arm, such as `temperature` or `model`; a
    name that both have is the strategy's.

    Raises:
        ParameterError: it is none of these.
        UnknownNameError: there is no such kind.
    """
    match = _ARM.fullmatch(given.strip())
    if match is None:
        raise ParameterError(
            f"--strategy is {given!r}; write KIND, NAME=KIND, or with parameters, such as "
            "'warm=sample:{\"temperature\": 0.7}'.",
            param="strategy",
        )
    name, kind = match["name"], match["kind"]
    try:
        fields = json.loads(match["fields"] or "{}")
    except ValueError as error:
        raise ParameterError(
            f"--strategy is {given!r}, but what follows the colon is not JSON: {error}. Names and texts "
            'stand in double quotes: {"temperature": 0.7}.',
            param="strategy",
        ) from error
    require_kind(kind, tuple(COMPARED))
    own = COMPARED[kind].params_schema["properties"]
    of_arm = {key for key in fields if key in _FIELDS_OF_ARMS and key not in own}
    return {
        "name": name or kind,
        "strategy": {"kind": kind, **{key: value for key, value in fields.items() if key not in of_arm}},
        **{key: fields[key] for key in fields if key in of_arm},
    }


def arms_of_flags(given: Sequence[str]) -> list[dict[str, Any]]:
    """Arms of several flags; those without a name of their own are numbered where kinds repeat."""
    arms: list[dict[str, Any]] = []
    for each in given:
        arm = arm_of_flag(each)
        same = sum(other["strategy"]["kind"] == arm["name"] for other in arms)
        if arm["name"] == arm["strategy"]["kind"] and same:
            arm["name"] = f"{arm['name']}-{same + 1}"
        arms.append(arm)
    return arms


def ops_of_flag(given: str) -> list[int]:
    """Smallest and largest op, from `1-6` or `4`.

    Raises:
        ParameterError: it is neither.
    """
    match = _OPS.fullmatch(given.strip())
    if match is None:
        raise ParameterError(f"--ops is {given!r}; write one op, such as 4, or a range: 1-6.", param="ops")
    return [int(match[1]), int(match[2] or match[1])]


def read_items(path: Path) -> list[dict[str, Any]]:
    """Problems of a JSON Lines file: objects with `prompt` or `question`, and `answer` and `id` if there are
    any. Numbers and lists become texts, and what else there is becomes fields for templates.

    Raises:
        ParameterError: it cannot be read, or a line is no such object.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # splitlines() would end at U+2028 too
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"cannot read {path}: {error}", param="problems") from error
    items: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ParameterError(f"{path}, line {number} is not JSON: {error}", param="problems") from error
        if not isinstance(item, dict) or not {"prompt", "question"} & item.keys():
            raise ParameterError(
                f"{path}, line {number} is no object with a prompt; write "
                '{"prompt": "...", "answer": "..."} on every line, answer being optional.',
                param="problems",
            )
        items.append(with_fields(item))
    return items


def items_of_flags(problems: Path | None, prompts: Sequence[str]) -> list[dict[str, Any]] | None:
    """Given problems, None if there are none; a prompt ends in a line break, as problems of the corpus do.

    Raises:
        ParameterError: the file cannot be read.
    """
    items = [] if problems is None else read_items(problems)
    items += [{"prompt": from_shell(prompt).rstrip() + "\n"} for prompt in prompts]
    return items if problems is not None or prompts else None


def reading_of_flags(
    marker: str | None, pattern: str | None, exact: bool, last_number: bool = False
) -> dict[str, Any] | None:
    """The rule by which answers are read, None if none is given.

    Raises:
        ParameterError: several are.
    """
    rules = [
        *([] if marker is None else [{"rule": "marker", "answer_marker": marker}]),
        *([] if pattern is None else [{"rule": "regex", "pattern": pattern}]),
        *([{"rule": "exact"}] if exact else []),
        *([{"rule": "last_number"}] if last_number else []),
    ]
    if len(rules) > 1:
        raise ParameterError(
            "--answer-marker, --answer-regex, --answer-exact and --answer-last-number are ways to read an "
            "answer; give one.",
            param="reading",
        )
    return rules[0] if rules else None


def signals_of_flag(given: str | None, items: Sequence[Mapping[str, Any]] | None) -> list[str] | None:
    """Names of signals. Where nothing has an answer the texts are what is looked at, with their entropy."""
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    return ["entropy"] if items and all(item.get("answer") is None for item in items) else None


@dataclass(frozen=True)
class Bound:
    """The least accuracy that an arm must have."""

    arm: str
    least: float

    def broken(self, report: ComparisonReport) -> str | None:
        """What to say if the arm is below it, None if it is not."""
        accuracy = report.arm(self.arm).accuracy
        if accuracy is None:
            return f"{self.arm} has no accuracy, as the judge failed on all of its answers"
        if accuracy.value >= self.least:
            return None
        return f"{self.arm} has an accuracy of {accuracy.value:.4g}, less than {self.least:g}"


def bounds_of_flags(given: Sequence[str], spec: ComparisonSpec) -> list[Bound]:
    """Bounds from `ARM=SHARE`.

    Raises:
        ParameterError: it is none, there is no such arm, or the comparison judges no answers.
    """
    names = [arm.name for arm in spec.arms]
    bounds: list[Bound] = []
    for each in given:
        name, _, share = each.rpartition("=")
        try:
            bounds.append(Bound(name, float(share)))
        except ValueError as error:
            raise ParameterError(
                f"--fail-under is {each!r}; write ARM=SHARE, such as greedy=0.9.", param="fail_under"
            ) from error
        if name not in names:
            raise ParameterError(
                f"--fail-under is {each!r}; the arms are {', '.join(names)}.", param="fail_under"
            )
        if not 0 <= bounds[-1].least <= 1:
            raise ParameterError(f"--fail-under is {each!r}; a share is between 0 and 1.", param="fail_under")
    if bounds and measure_of(spec) is None:
        raise ParameterError(
            "--fail-under has no meaning where no problem has an answer.", param="fail_under"
        )
    return bounds


def spec_of(data: Mapping[str, Any], flags: Mapping[str, Any], arms: Sequence[str]) -> ComparisonSpec:
    """The comparison: what the file says, the flags that were given in its place, and further arms.

    flags: fields of the spec, those of `problems` as `problems.NAME`; None for what was not given.

    Raises:
        ParameterError: it describes none; the message names the field.
    """
    merged: dict[str, Any] = dict(data)
    problems = merged.get("problems")
    inner: dict[str, Any] = dict(problems) if isinstance(problems, dict) else {}
    for name, value in flags.items():
        if value is not None:
            where, _, field = name.rpartition(".")
            (inner if where else merged)[field] = value
    if inner:
        inner.setdefault("source", "given" if "items" in inner else "corpus")
        merged["problems"] = inner
    if arms:
        merged["arms"] = [*(merged.get("arms") or ()), *arms_of_flags(arms)]
    if not merged.get("arms"):
        raise ParameterError(
            "there is nothing to compare: give a file with arms, or --strategy, once for every arm.",
            param="arms",
        )
    return parse_spec(merged)


def name_of(spec: ComparisonSpec) -> str:
    """What the folder of a run is called: the name of the spec, or one that the same spec gets again."""
    return spec.name or f"run-{sha256(spec.model_dump_json().encode()).hexdigest()[:8]}"
