"""Flags of `demur compare` about problems."""

from pathlib import Path

import pytest

from app.commands.problem_flags import near_misses, scoring_of_flags, with_fields


def test_files_of_a_judge_are_found_from_the_empty_folder_it_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("judge.py", "python3"):
        (tmp_path / name).touch()
    scoring = scoring_of_flags(None, None, None, f"python3 judge.py missing.py -c {'1;' * 3000}")
    assert scoring is not None
    assert scoring["command"][:3] == ["python3", str(tmp_path / "judge.py"), "missing.py"]
    own = scoring_of_flags(None, None, None, "./judge.py")
    assert own is not None
    assert own["command"] == [str(tmp_path / "judge.py")]


def test_a_key_like_answer_is_told_where_there_is_no_answer() -> None:
    lines = [
        {"prompt": "a", "Answer": 3},
        {"prompt": "b", "answer": 3, "answers": 3},
        {"prompt": "c", "level": 1},
    ]
    (said,) = near_misses([with_fields(line) for line in lines])
    assert "1 of them, have 'Answer'" in said
