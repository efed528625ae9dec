import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.errors import LabelsError
from probes.fitting.completions import read_prompts
from probes.fitting.judge_program import ask_judge
from probes.fitting.labels import LabelledCompletion, WrongSpan, data_hash, read_labels, write_labels

EXAMPLE = LabelledCompletion(
    prompt="Say three.",
    completion="One. Two. Four.",
    wrong=(WrongSpan(start=10, end=15, kind="number"),),
    judged=15,
    about={"One": True, "Six": False},
    tags={"temperature": 0.7},
)

HASH = "f5640aa5d2390b9daf7e7c9e303413f4e709798a597c764a60845d3abcd0f286"
"""Of the example, by the code that the stored probes' cards were written with."""

SHORT = {"prompt": "p", "completion": "cc"}


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    others = [EXAMPLE, EXAMPLE.model_copy(update={"wrong": (), "own": False, "completion_ids": (3, 4)})]
    write_labels(tmp_path / "a" / "b.jsonl", others)
    assert read_labels(tmp_path / "a" / "b.jsonl") == others


def test_two_keys_are_enough(tmp_path: Path) -> None:
    (labelled,) = read_labels(write(tmp_path / "a.jsonl", {"prompt": "p", "completion": "c"}, ""))
    assert labelled.is_correct
    assert labelled.group_name == "p"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: .*JSON"),
        ({"prompt": "p"}, "line 2: completion: Field required"),
        ({"prompt": "p", "completion": "c", "worng": []}, "line 2: worng: Extra inputs"),
        (
            {"prompt": "p", "completion": "cc", "wrong": [{"start": 1, "end": 3}]},
            "span 1 to 3 is not within .* 2 ch",
        ),
        ({"prompt": "p", "completion": "cc", "wrong": [{"start": 1, "end": 1}]}, "span 1 to 1"),
        ({"prompt": "p", "completion": "c", "part": "train"}, "part: Input should be 'fit', 'validation'"),
    ],
)
def test_bad_line_is_refused_by_number(tmp_path: Path, line: object, message: str) -> None:
    path = write(tmp_path / "a.jsonl", {"prompt": "p", "completion": "c"}, line)
    with pytest.raises(LabelsError, match=message):
        read_labels(path)


@given(st.integers(0, 5))
def test_hash_changes_with_any_label(which: int) -> None:
    labels = [EXAMPLE] * 6
    changed = EXAMPLE.model_copy(update={"wrong": ()})
    assert data_hash(labels) != data_hash([*labels[:which], changed, *labels[which + 1 :]])
    assert data_hash(labels) == data_hash(list(labels))


def test_hash_of_labels_without_the_newer_fields_is_what_it_was() -> None:
    assert data_hash([EXAMPLE]) == HASH
    assert data_hash([EXAMPLE.model_copy(update={"answer": "3"})]) == HASH
    assert data_hash([EXAMPLE.model_copy(update={"checked": ()})]) != HASH


def test_judge_gets_the_completions_and_answers_in_their_order(tmp_path: Path) -> None:
    labels = [EXAMPLE.model_copy(update={"completion_ids": (index,), "wrong": ()}) for index in range(3)]
    program = write(
        tmp_path / "judge.py",
        "import json, sys",
        "for line in sys.stdin:",
        "    each = json.loads(line)",
        "    each['wrong'] = [{'start': 0, 'end': 1, 'kind': 'first'}]",
        "    print(json.dumps(each))",
    )
    judged = ask_judge(labels, ["python3", str(program)])
    assert [each.completion_ids for each in judged] == [each.completion_ids for each in labels]
    assert all(each.wrong == (WrongSpan(start=0, end=1, kind="first"),) for each in judged)


@pytest.mark.parametrize("text", ["a\u2028b", "a\x85b\x0c", "\u00e9"])
def test_judge_may_write_a_completion_back_as_it_is(tmp_path: Path, text: str) -> None:
    labels = [EXAMPLE.model_copy(update={"completion": text, "wrong": ()})] * 2
    assert ask_judge(labels, ["cat"]) == labels
    lines = [each.model_dump_json(exclude_defaults=True) for each in labels]
    assert read_labels(write(tmp_path / "own.jsonl", *lines)) == labels


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["/no/such/program"], "cannot be run: No such file"),
        (["python3", "-c", "raise SystemExit('out of order')"], "failed with status 1: out of order"),
        (["true"], "wrote 0 lines for 1 completions"),
        (["echo", "what?"], "wrote 'what\\?'"),
        (["printf", "\\377"], "is not|Invalid JSON|expected"),
        (["echo", '{"prompt": "Say three.", "completion": "Else."}'], "changed or moved the completion"),
    ],
)
def test_judge_that_does_not_do_its_part_is_told_so(command: list[str], message: str) -> None:
    with pytest.raises(LabelsError, match=message):
        ask_judge([EXAMPLE], command)


@pytest.mark.parametrize(
    ("line", "message"),
    [("{}", "line 1: prompt: Field required"), ("", "holds no prompt"), ("[", "line 1: .*JSON")],
)
def test_bad_prompts_are_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(LabelsError, match=message):
        read_prompts(write(tmp_path / "p.jsonl", line))
