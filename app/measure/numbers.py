"""Numbers in texts that people or models write: which is the last one, and how much it is.

A number may have thousands separated by commas, decimals, an exponent, a sign (a minus is one unless a number
or a word stands before it), and a sign of money before it; `3/4`, `2 3/4` and LaTeX's `\\frac{3}{4}` are one
number each. What follows, such as a unit, a full stop or a percent sign, is no part of it, so 5% is 5.
"""

import re
from fractions import Fraction

import regex

# Not by `re`, which looks behind by a fixed number of characters: 3/4/2020 holds no fraction.
_NUMBER = regex.compile(
    r"""
    (?P<sign> (?: (?<![\w).]) [-+\u2212\u2013] (?=[$\u20ac\u00a3\u00a5]?[\d.\\]) )? )
    [$\u20ac\u00a3\u00a5]?
    (?P<rest>
        \\[dt]?frac\{\d+\}\{\d+\}
      | \d+[ ]\d+/\d+ (?![\d.]|/\d)
      | (?: \d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)? | \d+(?:\.\d+)? | (?<!\.)\.\d+ )
        (?: [eE][-+]?\d{1,9}(?!\d) )?
        (?: (?<!\d/\d*) [ ]?/[ ]?\d+ (?!\d*/\d) )?
    )
    (?: [ ]?% )?
    """,
    regex.ASCII | regex.VERBOSE,
)
_PARTS = re.compile(r"(?:\\[dt]?frac\{(\d+)\}\{(\d+)\})|(?:(\d+) (\d+)/(\d+))")
_APART = re.compile(r"[=:] *([-\u2212]) +$")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b", re.IGNORECASE)
_MINUS = str.maketrans("\u2212\u2013", "--")


def last_number(text: str) -> str | None:
    """The last number in a text as it is written there, but for a sign of money; None if there is none.

    One behind a letter, as in H2O, or an ordinal such as 3rd counts only where there is no other.
    """
    found = [*_NUMBER.finditer(text)]
    plain = [each for each in found if not _is_part_of_a_word(text, each)]
    last = next(iter((plain or found)[-1:]), None)
    return None if last is None else _sign(text, last) + last["rest"]


def number_in(text: str) -> Fraction | None:
    """The last number in a text, exactly; None where there is none, or one that is too large."""
    found = last_number(text)
    return None if found is None else _value(found)


def is_number(text: str) -> bool:
    """Whether a text is one number and nothing else, white space and a full stop behind it apart."""
    return _NUMBER.fullmatch(text.strip().removesuffix(".")) is not None


def _is_part_of_a_word(text: str, number: regex.Match[str]) -> bool:
    before = text[number.start() - 1 : number.start()]
    return before.isalpha() or _ORDINAL.match(text, number.end()) is not None


def _sign(text: str, number: regex.Match[str]) -> str:
    """Its sign; `x = - 3` has one too, `5 - 3` and the bullet of a list have none."""
    if number["sign"]:
        return number["sign"]
    line = text[: number.start()].rpartition("\n")[2]
    apart = _APART.search(line)
    return apart[1] if apart is not None else ""


def _value(written: str) -> Fraction | None:
    plain = written.translate(_MINUS)
    sign = -1 if plain.startswith("-") else 1
    plain = plain.lstrip("+-")
    try:
        if parts := _PARTS.fullmatch(plain):
            above, below, whole, rest, by = parts.groups()
            size = Fraction(int(above), int(below)) if above else int(whole) + Fraction(int(rest), int(by))
        else:
            over, _, under = re.sub(r"[\s,]", "", plain).partition("/")
            # With an exponent as a float: as a fraction a small one may have a million digits.
            size = (Fraction(float(over)) if "e" in over.lower() else Fraction(over)) / Fraction(under or "1")
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return sign * size
