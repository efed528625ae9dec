"""Answers that are found in a text where nobody said how to read it."""

import pytest

from app.measure.answer_match import holds_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("12 + 8 = 20\n20 + 12 = 32\n\n", "32"),
        ("The answer is 1,234.50 dollars.", "1234.5"),
        ("$7", "7"),
        ("so x = -3.", "-3"),
        ("3 bags, so 12kg.", "12"),
        ("on the 4th day there were 12, said the 3rd", "12"),
        ("It was written by  jane\nAUSTEN, in 1813", "Jane Austen"),
        ("C++ it is", "C++"),
        ("so 1e3", "1000"),
        ("It is 5%.", "5"),
        ("half: 0.5", "1/2"),
        ("3/4", "0.75"),
        ("$5.", "$5"),
        ("-5", "\N{MINUS SIGN}5"),
    ],
)
def test_held(text: str, answer: str) -> None:
    assert holds_answer(text, answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("32, but no: 31", "32"),
        ("no number", "3"),
        ("132", "32"),
        ("1e5", "1"),
        ("Romeo", "Rome"),
        ("", "Rome"),
        ("Rome", " "),
    ],
)
def test_not_held(text: str, answer: str) -> None:
    assert not holds_answer(text, answer)
