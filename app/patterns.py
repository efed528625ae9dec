"""Regular expressions of users: which may be used at all. How long one may search, its user says."""

import math
import re

import regex

MAX_WRITTEN_OUT = 10_000
"""Most characters of a pattern whose counts in braces are written out, as they are when it is compiled:
`(?:a{999}){999}` comes to a million, and a third pair of braces takes all memory."""

_PART = re.compile(r"\\.|\[[^\[\]]*\]|\{(?P<count>\d+)[^{}]*\}|.", re.DOTALL)
_ODD_SET = re.compile(r"\[\^?\]|\[[^\]]*\[")  # one whose end takes more to find
_FUZZY = re.compile(r"\{[\d\s<=+,]*[eids][\d\s<=+,eids]*(?::[^{}]*)?\}")
_VERBOSE = re.compile(r"(?<!\\)\(\?[a-wyzA-Z0-9]*x")  # with it, counts may be spread over spaces and comments


class TooLongError(ValueError):
    """A pattern that comes to more than can be compiled."""


def require_pattern(pattern: str) -> None:
    """Raise `ValueError` unless it is a regular expression that can be used; the message goes on after one
    that ends with the pattern. `TooLongError` where its counts are too large."""
    if _VERBOSE.search(pattern):
        raise ValueError("is not to be used; write it without the flag x and without spaces")
    if _written_out(pattern) > MAX_WRITTEN_OUT:
        raise TooLongError(
            f"comes to more than {MAX_WRITTEN_OUT} characters where each part is written as often as its "
            "count in braces says; ask for fewer, or for + and *"
        )
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from error


def is_fuzzy(pattern: str) -> bool:
    """Whether a pattern asks for what is like a text, with so many errors (`{e<=1}`): a search for that may
    take far longer than it is given."""
    return _FUZZY.search(re.sub(r"\\.", "", pattern, flags=re.DOTALL)) is not None


def _written_out(pattern: str) -> int:
    """How many characters a pattern comes to, at least, where counts in braces are written out."""
    if _ODD_SET.search(pattern):  # as if all counts were within each other
        counts = (max(1, int(found["count"] or 1)) for found in _PART.finditer(pattern))
        return math.prod(counts) * len(pattern) if "{" in pattern else len(pattern)
    groups = [0]  # what each group that is open comes to, and the last part in each
    last = [0]
    for found in _PART.finditer(pattern):
        if found[0] == "(":
            groups.append(1)
            last.append(0)
            continue
        if found[0] == ")" and len(groups) > 1:
            last.pop()
            size = last[-1] = groups.pop() + 1
        elif found["count"] is not None:
            size = last[-1] * (max(1, int(found["count"])) - 1)
            last[-1] += size
        else:
            size = last[-1] = len(found[0])
        groups[-1] += size
    return sum(groups)
