"""Equations between numbers in free text, each checked: `3 + 4 = 7`, `12*3=36`, `= 36 - 2 = 34`.

An equation is checked where both sides of an equals sign are plain arithmetic and one of them computes
something. What is not, such as `2x = 6`, `y + 2 = 6`, `20% = 4` or `7 / 2 = 3 remainder 1`, is passed over.
In a row of equals signs every neighbouring pair is an equation. Two habits of writing are no mistakes: a row
that goes on with its result (`12 * 3 = 36 - 2 = 34`), and a quotient rounded to the decimals shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 30
"""A longer number is passed over."""

_TOKEN = re.compile(
    r"(?P<num>\$?(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\$?\.\d+)"
    r"|(?P<op>[-+*/\u00d7\u00f7\u00b7\u2212]|\\times|\\cdot|\\div)"
    r"|(?P<paren>[()])|(?P<eq>=)|(?P<break>\n)|(?P<word>[^\W\d_]+)|(?P<other>[^\s])"
)
_SIGNS = {
    "\u2212": "-",
    "\u00d7": "*",
    "\u00b7": "*",
    "\\times": "*",
    "\\cdot": "*",
    "\u00f7": "/",
    "\\div": "/",
}
_NO_EQUALITY = frozenset("<>!:~\u2248\u2260")
_REMAINDER = frozenset(("r", "rem", "remainder"))


@dataclass(frozen=True)
class Equation:
    """One equals sign with arithmetic on both sides.

    start, end: characters of both sides together. result_start, result_end: those of what stands right of
    the sign, which is where a mistake shows.
    """

    start: int
    end: int
    result_start: int
    result_end: int
    right: bool


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def equations(text: str) -> list[Equation]:
    """Every equation of a text, in order."""
    tokens = _tokens(text)
    found: list[Equation] = []
    for index, token in enumerate(tokens):
        if token.kind != "eq" or not _is_equality(tokens, index):
            continue
        left, right = _left(tokens, index), _right(tokens, index)
        if left and right and any(each.kind == "op" for each in (*left[1:], *right[1:])):
            correct = _agree(left, right)
            if correct is not None:
                found.append(Equation(left[0].start, right[-1].end, right[0].start, right[-1].end, correct))
    return found


def _tokens(text: str) -> list[_Token]:
    found = [
        _Token(match.lastgroup or "", match.group(), match.start(), match.end())
        for match in _TOKEN.finditer(text)
    ]
    for index in range(1, len(found) - 1):
        between = found[index - 1].kind in ("num", "paren") and found[index + 1].kind in ("num", "paren")
        if found[index].text in ("x", "X") and between:
            token = found[index]
            found[index] = _Token("op", "*", token.start, token.end)
    return found


def _is_equality(tokens: Sequence[_Token], index: int) -> bool:
    """Whether the sign is no part of another, such as `<=` or `==`."""
    here = tokens[index]
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    if (
        before is not None
        and before.end == here.start
        and (before.kind == "eq" or before.text in _NO_EQUALITY)
    ):
        return False
    return not (after is not None and after.start == here.end and after.kind == "eq")


def _left(tokens: Sequence[_Token], sign: int) -> Sequence[_Token]:
    """The longest arithmetic that ends at the sign; empty where something unknown belongs to it."""
    start = sign
    while start and tokens[start - 1].kind in ("num", "op", "paren"):
        if start < sign and _is_apart(tokens[start - 1], tokens[start]):
            if _belongs(tokens[start - 1], tokens[start], tokens[start + 1]):
                return ()
            break
        start -= 1
    before = tokens[start - 1] if start else None
    if start < sign and tokens[start].kind == "op":
        first, behind = tokens[start], tokens[start + 1]
        if before is not None and before.kind in ("word", "other"):
            return ()  # `y - 2`
        if first.end != behind.start or first.text == "+":
            start += 1  # a bullet
    if start >= sign or (before is not None and before.kind == "word" and before.end == tokens[start].start):
        return ()
    if before is not None and before.text in ("^", "%", "_"):
        return ()
    return tokens[start:sign] if _value(tokens[start:sign]) is not None else ()


def _right(tokens: Sequence[_Token], sign: int) -> Sequence[_Token]:
    """The longest arithmetic that begins at the sign; empty where something unknown belongs to it."""
    end = sign + 1
    while end < len(tokens) and tokens[end].kind in ("num", "op", "paren"):
        if end > sign + 1 and _is_apart(tokens[end - 1], tokens[end]):
            break
        end += 1
    while end > sign + 1 and _value(tokens[sign + 1 : end]) is None:
        end -= 1
    found = tokens[sign + 1 : end]
    if not found or end == len(tokens):
        return found
    after = tokens[end]
    behind = tokens[end + 1] if end + 1 < len(tokens) else None
    if (
        after.kind == "op"
        and after.text not in ("-", "\u2212")
        and behind is not None
        and behind.kind != "break"
    ):
        return ()  # `7 * y`; behind a dash, words may go on
    glued = after.start == found[-1].end
    if after.kind == "word" and ((glued and len(after.text) == 1) or after.text.lower() in _REMAINDER):
        return ()
    if after.text in ("^", "%", "_", "\\") or (glued and after.kind == "paren" and after.text == "("):
        return ()
    return found


def _is_apart(left: _Token, right: _Token) -> bool:
    """Whether two neighbours cannot be of one expression: two operands without a sign between them."""
    ends = left.kind == "num" or left.text == ")"
    begins = right.kind == "num" or right.text == "("
    return ends and begins


def _belongs(before: _Token, first: _Token, second: _Token) -> bool:
    """Whether what is apart is of one expression all the same, one that is not read: `2(3 + 4)`, `1 3/4`."""
    glued = before.end == first.start and first.text == "("
    mixed = before.kind == "num" and first.kind == "num" and second.text == "/"
    return glued or mixed


def _agree(left: Sequence[_Token], right: Sequence[_Token]) -> bool | None:
    claimed, value = _value(right), _value(left)
    if claimed is None or value is None:
        return None
    if claimed == value:
        return True
    if len(right) > 1:  # a row that goes on with its result
        return right[0].kind == "num" and _value(right[:1]) == value
    decimals = len(right[0].text.partition(".")[2])
    divides = any(_SIGNS.get(each.text, each.text) == "/" for each in left)
    return bool(divides and decimals and abs(claimed - value) <= Fraction(1, 2 * 10**decimals))


def _value(tokens: Sequence[_Token]) -> Fraction | None:
    """What an expression comes to; None if it is none, divides by zero, or has a number that is too long."""
    parser = _Parser(tokens)
    try:
        value = parser.sum()
    except (IndexError, ValueError, ZeroDivisionError, RecursionError):
        return None
    return value if parser.at == len(tokens) else None


class _Parser:
    """Sums of products of numbers, signs and brackets; raises what `_value` catches."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self.at = 0
        self._tokens = tokens

    def sum(self) -> Fraction:
        value = self._product()
        while (sign := self._sign()) in ("+", "-"):
            self.at += 1
            value = value + self._product() if sign == "+" else value - self._product()
        return value

    def _product(self) -> Fraction:
        value = self._factor()
        while (sign := self._sign()) in ("*", "/"):
            self.at += 1
            value = value * self._factor() if sign == "*" else value / self._factor()
        return value

    def _factor(self) -> Fraction:
        token = self._tokens[self.at]
        self.at += 1
        if token.kind == "num":
            digits = token.text.replace("$", "").replace(",", "")
            if len(digits) > MAX_DIGITS:
                raise ValueError(f"a number of {len(digits)} digits")
            return Fraction(digits)
        if token.text == "(":
            value = self.sum()
            if self._tokens[self.at].text != ")":
                raise ValueError("a bracket is open")
            self.at += 1
            return value
        if self._is_minus(token):
            return -self._factor()
        raise ValueError("no operand")

    def _is_minus(self, token: _Token) -> bool:
        """A sign of a number, which stands next to it."""
        minus = _SIGNS.get(token.text, token.text) == "-"
        return minus and self.at < len(self._tokens) and self._tokens[self.at].start == token.end

    def _sign(self) -> str | None:
        if self.at == len(self._tokens) or self._tokens[self.at].kind != "op":
            return None
        text = self._tokens[self.at].text
        return _SIGNS.get(text, text)
