"""Reading answers from texts."""

import time

import pytest
from pydantic import TypeAdapter, ValidationError

from app.compare.answers import Exact, Marker, Pattern, Reading, is_right


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so 3. Answer: 7", "7"),
        ("Answer: 1 Answer: 2\nmore", "2"),
        ("Answer:", ""),
        ("Answer:\n 7 \nrest", "7"),
        ("no answer: 7", None),
    ],
)
def test_the_last_marker_counts_up_to_the_end_of_its_line(text: str, answer: str | None) -> None:
    assert Marker().read(text) == answer


@pytest.mark.parametrize(
    ("pattern", "group", "text", "answer"),
    [
        (r"\d+", None, "a 12 b 3", "12"),
        (r"= (\d+)", None, "a = 12", "12"),
        (r"(\d+) (\w+)", 2, "12 b", "b"),
        (r"= (\d+)", 0, "a = 12", "= 12"),
        (r"(a)|b", None, "b", None),
        (r"\d", None, "none", None),
    ],
)
def test_a_pattern_finds_its_group(pattern: str, group: int | None, text: str, answer: str | None) -> None:
    assert Pattern(rule="regex", pattern=pattern, group=group).read(text) == answer


def test_a_pattern_that_would_never_end_finds_nothing() -> None:
    began = time.process_time()
    assert Pattern(rule="regex", pattern=r"(x+x+)+(?=y)z").read("x" * 60) is None
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?:(?:a{999}){999}){999}",
        r"(?:(?:a{0999}){999,}){999,1000}",
        r"(?ix)(?:(?:a{9 9 9}){9 9 9}){9 9 9}",
        r"(?x:(?:(?:a{ 999 }){ 999 }){ 999 })",
        r"(?:a{101}){100,}",
        f"(?:{'a?b' * 300}){{9999}}",
        f"(?:{'[a-z]' * 190}){{9999}}",
        f"([])]{'a?b' * 300}){{9999}}",
        f"(?:[[(]{'a?b' * 300}){{9999}}",
        f"(?:{'a?b' * 200}){{60}}",
        r"a{999}{999}",
        r"(((a{30}){30}){30})",
    ],
)
def test_a_pattern_that_would_take_all_memory_is_never_compiled(pattern: str) -> None:
    began = time.process_time()
    with pytest.raises(ValidationError, match=r"10000 characters|without the flag x"):
        Pattern(rule="regex", pattern=pattern)
    assert time.process_time() - began < 1


UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{4}-\d{2}-\d{2}",
        r"[0-9a-f]{64}",
        r"(?:\w{0,999}){0,999}",
        r"{} {a} 1",
        r"\(?x(?P<x>a)",
        UUID,
        r"[]a]{9}",
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}",
    ],
)
def test_usual_counts_are_few_copies(pattern: str) -> None:
    assert Pattern(rule="regex", pattern=pattern).pattern == pattern


def test_white_space_around_an_answer_does_not_count() -> None:
    assert Exact(rule="exact").read(" 7\n") == "7"
    assert is_right(" 7", "7 ")
    assert not is_right("7.0", "7")
    assert not is_right(None, "")


def test_rules_are_told_apart_by_their_name() -> None:
    adapter: TypeAdapter[Reading] = TypeAdapter(Reading)
    assert adapter.validate_python({"rule": "marker", "answer_marker": "####"}) == Marker(
        answer_marker="####"
    )
    assert isinstance(adapter.validate_python({"rule": "regex", "pattern": "x"}), Pattern)
