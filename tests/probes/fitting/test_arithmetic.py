"""Equations that are found in free text, and whether they hold."""

import pytest

from probes.fitting.arithmetic import equations


def checked(text: str) -> list[tuple[str, bool]]:
    return [(text[each.result_start : each.result_end], each.right) for each in equations(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 + 4 = 7", [("7", True)]),
        ("12*3=36", [("36", True)]),
        ("12 x 3 = 35 apples", [("35", False)]),
        ("Total = 36 - 2 = 34.", [("34", True)]),
        ("so we have = 36 - 2 = 35", [("35", False)]),
        ("12 * 3 = 36 - 2 = 34", [("36 - 2", True), ("34", True)]),
        ("12 * 3 = 37 - 2 = 35", [("37 - 2", False), ("35", True)]),
        ("$1,200 + $34.50 = $1,234.50", [("$1,234.50", True)]),
        ("(3 + 4) * -2 = -14", [("-14", True)]),
        ("2 + 3 * 4 = 20", [("20", False)]),
        ("10 / 3 = 3.33", [("3.33", True)]),
        ("10 / 3 = 3.34", [("3.34", False)]),
        ("7 \u00d7 8 = 56, 56 \u00f7 7 = 9", [("56", True), ("9", False)]),
        ("7 \\times 8 = 56", [("56", True)]),
        ("22 + 13 = 35\n35 + 18 = 52\n", [("35", True), ("52", False)]),
        ("1. 3 + 4 = 7\n2. 7 - 9 = -2", [("7", True), ("-2", True)]),
        ("- 3 + 4 = 8\n- 1 + 1 = 2", [("8", False), ("2", True)]),
        ("0.5 + .25 = 0.75", [("0.75", True)]),
        ("7 = 3 + 4", [("3 + 4", True)]),
        ("5 - 3 = 2 - so two are left", [("2", True)]),
        ("3 + 4 = 7kg", [("7", True)]),
        ("Step 2 3 + 4 = 7", [("7", True)]),
        ("2) (3 + 4) / 7 = 1", [("1", True)]),
    ],
)  # fmt: skip
def test_each_equation_is_checked(text: str, expected: list[tuple[str, bool]]) -> None:
    assert checked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2x = 6", "x + 2 = 6", "y - 2 = 6", "y -2 = 6", "a2 + 3 = 6", "3 + 4 = 7x", "3 + 4 = 7 * y",
        "20% + 1 = 4", "3 + 4 = 70%", "7 / 2 = 3 remainder 1", "7 / 2 = 3 R1", "3 + 4 <= 7", "3 + 4 == 8",
        "1 / 0 = 5", "7 = 7", "n = 5", "2^3 + 1 = 9", "3 + = 7", "3 + 4 =", "= 7", "",
        "9" * 40 + " + 1 = 2", "((((((" * 500 + " = 1 + 1", "f(2) = 3 + 4", "3 + 4 = f(2)",
        "2(3 + 4) = 14", "(3 + 4)(2) = 14", "1 3/4 + 1 = 2.75",
    ],
)  # fmt: skip
def test_what_is_no_plain_arithmetic_is_passed_over(text: str) -> None:
    assert checked(text) == []


def test_an_equation_spans_both_its_sides() -> None:
    (found,) = equations("We add: 3 + 4 = 8, so")
    assert (found.start, found.end) == (8, 17)
