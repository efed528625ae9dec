"""`--problems` of `demur compare`, given once or several times."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.commands.compare_spec import spec_of
from app.commands.problem_sets_flag import items_of, problems_of_sets, sets_of_flags
from app.compare.several_sets import SeveralProblems, parts_of
from app.errors import ParameterError

ARM = ("greedy",)


def written(folder: Path, name: str, *prompts: str) -> str:
    file = folder / name
    file.write_text("".join(json.dumps({"prompt": each, "answer": "1"}) + "\n" for each in prompts))
    return str(file)


def fields(**given: Any) -> dict[str, Any]:
    return {"split": None, "ops": None, "count": None, "scoring": None, **given}


def test_one_set_is_merged_with_what_a_file_says(tmp_path: Path) -> None:
    sets = sets_of_flags([written(tmp_path, "a.jsonl", "x")], ["y"])
    flags = problems_of_sets(sets, fields(count=1))
    spec = spec_of({"problems": {"source": "given", "items": [], "examples": 0}}, flags, ARM)
    (part,) = parts_of(spec.problems)
    assert part.name is None
    assert part.problems.source == "given"
    assert [item.prompt for item in part.problems.items] == ["x", "y\n"]
    assert problems_of_sets({}, fields(ops=[1, 2])) == {
        "problems.split": None,
        "problems.ops": [1, 2],
        "problems.count": None,
        "problems.scoring": None,
    }


def test_several_sets_have_names_and_what_applies_to_each(tmp_path: Path) -> None:
    first = written(tmp_path, "my sums.jsonl", "x")
    (tmp_path / "other").mkdir()
    second = written(tmp_path / "other", "my sums.jsonl", "y", "z")
    sets = sets_of_flags([first, "reasoning_gym:chain_sum?min_terms=2", second], [])
    flags = problems_of_sets(sets, fields(count=1, ops=[1, 2], scoring={"kind": "number"}))
    spec = spec_of({"problems": {"source": "corpus"}}, flags, ARM)
    assert isinstance(spec.problems, SeveralProblems)
    assert [part.name for part in parts_of(spec.problems)] == ["my_sums", "chain_sum", "my_sums-2"]
    assert [part.problems.source for part in parts_of(spec.problems)] == ["given", "reasoning_gym", "given"]
    assert [part.problems.count for part in parts_of(spec.problems)] == [1, 1, 1]
    assert [item["prompt"] for item in items_of(sets) or ()] == ["x", "y", "z"]


def test_files_whose_long_names_begin_alike_are_sets_of_their_own(tmp_path: Path) -> None:
    stem = "a" * 70
    files = [written(tmp_path, f"{stem}{end}.jsonl", end) for end in "xyz"]
    flags = problems_of_sets(sets_of_flags(files, []), fields())
    spec = spec_of({}, flags, ARM)
    assert [part.name for part in parts_of(spec.problems)] == ["a" * 60, "a" * 60 + "-2", "a" * 60 + "-3"]


def test_prompts_are_a_set_beside_generators() -> None:
    sets = sets_of_flags(["reasoning_gym:chain_sum"], ["x"])
    assert list(sets) == ["chain_sum", "prompts"]
    assert items_of(sets) == [{"prompt": "x\n"}]
    assert items_of(sets_of_flags(["reasoning_gym:chain_sum"], [])) is None


@pytest.mark.parametrize(
    "given", [["nowhere.jsonl"], ["reasoning_gym:"], ["reasoning_gym:a", "nowhere.jsonl"]]
)
def test_a_set_that_is_none_is_refused(given: list[str]) -> None:
    with pytest.raises(ParameterError):
        sets_of_flags(given, [])
