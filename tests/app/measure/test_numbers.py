"""Numbers in texts."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.compare.answers import LastNumber
from app.measure.numbers import is_number, last_number, number_in


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so it is $1,200.50.", "1,200.50"),
        ("10-3 = 7", "7"),
        ("5-3", "3"),
        ("-3", "-3"),
        ("x=-3.5kg", "-3.5"),
        ("3/4 of it", "3/4"),
        ("1e-3", "1e-3"),
        (".5", ".5"),
        ("no number", None),
        ("12,34", "34"),
        ("-$1,200", "-1,200"),
        ("$-5", "-5"),
        ("5-$3", "3"),
        ("It costs $5.", "5"),
        ("about 5%.", "5"),
        ("5 %", "5"),
        ("12 of H2O", "12"),
        ("12 on the 3rd", "12"),
        ("the 3rd", "3"),
        ("v2", "2"),
        ("**42**", "42"),
        ("_42_", "42"),
        (r"\boxed{-42}", "-42"),
        ("(-3)", "-3"),
        ("x = - 3", "-3"),
        ("Answer: \N{MINUS SIGN} 3", "\N{MINUS SIGN}3"),
        ("8 - 3", "3"),
        ("Answer:\n- 3 apples", "3"),
        ("\N{EN DASH}3", "\N{EN DASH}3"),
        ("5\N{EN DASH}10", "10"),
        (r"so \frac{3}{4}", r"\frac{3}{4}"),
        (r"$-\dfrac{3}{4}$", r"-\dfrac{3}{4}"),
        ("it is 2 3/4 cups", "2 3/4"),
        ("1,2000", "2000"),
        ("1,234,567.", "1,234,567"),
        ("3/4/2020", "2020"),
        ("12/", "12"),
        ("100/200/300", "300"),
        ("7 apples and 2e", "2"),
        ("+5", "+5"),
    ],
)
def test_the_last_number_is_read_as_it_is_written(text: str, number: str | None) -> None:
    assert last_number(text) == number
    assert LastNumber(rule="last_number").read(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,200.50", Fraction("1200.5")),
        ("3/4", Fraction(3, 4)),
        ("-3/4", Fraction(-3, 4)),
        ("2 3/4", Fraction(11, 4)),
        ("-2 3/4", Fraction(-11, 4)),
        (r"-\frac{3}{4}", Fraction(-3, 4)),
        (r"\frac{3}{0}", None),
        ("\N{MINUS SIGN}7", Fraction(-7)),
        ("\N{EN DASH}7", Fraction(-7)),
        ("x = - 7", Fraction(-7)),
        ("$5.", Fraction(5)),
        ("5%", Fraction(5)),
        ("1e3", Fraction(1000)),
        ("-2.5E+2", Fraction(-250)),
        ("12,000 / 4", Fraction(3000)),
        ("1/0", None),
        ("1e999999999", None),
        ("9" * 5000, None),
        ("none", None),
    ],
)
def test_a_number_is_what_it_says(text: str, number: Fraction | None) -> None:
    assert number_in(text) == number


def test_a_number_that_is_nearly_nothing_is_read_at_once() -> None:
    assert number_in("1e-999999999") == 0


@settings(max_examples=200, deadline=None)
@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from(("{}", "$ {}", "**{}**", "({})", "= {}.", "{}kg", "{} %", "so {}, then", "x={}\n\n")),
)
def test_a_whole_number_is_found_again(number: int, around: str) -> None:
    for written in (str(number), f"{number:,}"):
        assert number_in(f"It is 7, or {around.format(written)}") == number
        assert is_number(written)


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789,./-+%$eE =x\\frac{}\n", max_size=60))
def test_any_text_has_a_last_number_or_none(text: str) -> None:
    found = last_number(text)
    assert (found is None) == (not any(each.isascii() and each.isdigit() for each in text))
    number_in(text)


@pytest.mark.parametrize("text", ["5 apples", "", "-", "H2O", "1, 2", "3rd", "5 - 3"])
def test_what_has_more_than_a_number_is_none(text: str) -> None:
    assert not is_number(text)


@pytest.mark.parametrize("text", ["5", " $5. ", "5%", "-1,200.5", "3/4", "1e3", r"\frac{1}{2}"])
def test_a_number_alone_is_one(text: str) -> None:
    assert is_number(text)
