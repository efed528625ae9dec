"""When an answer is right."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.compare.problem_sets.scoring import Comparing

ADAPTER: TypeAdapter[Comparing] = TypeAdapter(Comparing)


def score(found: str, expected: str, **scoring: Any) -> float:
    return ADAPTER.validate_python(scoring).score(found, expected)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_has_a_score_by_every_rule(text: str) -> None:
    for kind in ("text", "number", "choice", "set"):
        assert score(text, "A 1", kind=kind) in (0.0, 1.0)
    assert 0 <= score(text, "a,b", kind="set", credit="f1") <= 1


@settings(max_examples=200, deadline=None)
@given(st.integers(-(10**9), 10**9))
def test_a_whole_number_is_found_again(number: int) -> None:
    assert score(f"about {number}", str(number), kind="number") == 1


@pytest.mark.parametrize(
    ("found", "expected", "scoring", "worth"),
    [
        ("72 apples", "#### 72", {"kind": "number"}, 1),
        ("72.4", "72", {"kind": "number", "tolerance": 0.5}, 1),
        ("72.6", "72", {"kind": "number", "tolerance": 0.5}, 0),
        ("101", "100", {"kind": "number", "relative_tolerance": 0.01}, 1),
        ("0.75", "3/4", {"kind": "number"}, 1),
        ("1 1/2", "1.5", {"kind": "number"}, 1),
        ("5%", "5", {"kind": "number"}, 1),
        ("on the 2nd day 72", "72", {"kind": "number"}, 1),
        ("many", "72", {"kind": "number"}, 0),
        (" Paris\n", "paris", {"kind": "text", "ignore_case": True}, 1),
        ("Paris", "paris", {"kind": "text"}, 0),
        ("(b)", "B", {"kind": "choice"}, 1),
        ("B. Paris", "B", {"kind": "choice"}, 1),
        ("Because", "B", {"kind": "choice"}, 0),
        ("**C**", "C", {"kind": "choice"}, 1),
        ("E", "B", {"kind": "choice"}, 0),
        ("yes, it is", "yes", {"kind": "choice", "choices": ["yes", "no"]}, 1),
        ("not so", "no", {"kind": "choice", "choices": ["no", "not so"]}, 0),
        ("b, a, a", "{a, b}", {"kind": "set"}, 1),
        ("a", "a, b", {"kind": "set"}, 0),
        ("a, c", "a, b", {"kind": "set", "credit": "f1"}, 0.5),
        ("", "", {"kind": "set", "credit": "f1"}, 1),
        ("the 3rd", r"(the )?\d\w+", {"kind": "regex"}, 1),
        ("the 3rd of May", r"(the )?\d\w+", {"kind": "regex"}, 0),
    ],
)
def test_an_answer_is_worth(found: str, expected: str, scoring: dict[str, Any], worth: float) -> None:
    assert score(found, expected, **scoring) == worth


def test_a_pattern_that_would_never_end_is_not_matched() -> None:
    assert score("x" * 60, r"(x+x+)+(?=y)z", kind="regex") == 0


def test_an_expected_answer_has_to_fit_its_rule() -> None:
    for scoring, expected in (
        ({"kind": "number"}, "many"),
        ({"kind": "choice"}, "E"),
        ({"kind": "regex"}, "("),
        ({"kind": "regex"}, "(?:(?:a{999}){999}){999}"),
    ):
        with pytest.raises(ValueError, match=r"holds no|none of|no regular|comes to"):
            ADAPTER.validate_python(scoring).require(expected)
    with pytest.raises(ValidationError):
        ADAPTER.validate_python({"kind": "number", "tolerance": -1})


@pytest.mark.parametrize(("tolerance", "found"), [(0.3, "1.3"), (0.1, "1.1"), (0.07, "0.93")])
def test_a_tolerance_is_the_number_that_was_written_not_the_float_beside_it(
    tolerance: float, found: str
) -> None:
    assert score(found, "1", kind="number", tolerance=tolerance, relative_tolerance=0.0) == 1
    assert score(found + "1" if found > "1" else "0.929", "1", kind="number", tolerance=tolerance) == 0


def test_brackets_of_members_are_theirs() -> None:
    assert score("g(y), f(x)", "f(x), g(y)", kind="set") == 1
    assert score("(3,4);(1,2)", "[(1,2);(3,4)]", kind="set", separator=";") == 1
    assert score("[{a, b}]", "b, a", kind="set") == 1
    assert score("a, b]", "b, a", kind="set") == 1
    assert score("(" * 3000 + ")" * 3000, "a", kind="set") == 0


@pytest.mark.parametrize("choices", [["(", ")"], [".5", "5"], ["yes", "Yes"]])
def test_choices_that_cannot_be_told_apart_are_refused(choices: list[str]) -> None:
    with pytest.raises(ValidationError, match="give labels that differ"):
        ADAPTER.validate_python({"kind": "choice", "choices": choices})
