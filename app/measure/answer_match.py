"""Whether a text gives the answer that is known to be right, where nobody said how to read it."""

import re
from decimal import Decimal

_NUMBER = re.compile(
    r"(?<![\w.,])[-\u2212]?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
    r"(?!\d|[eE][-+]?\d|(?:st|nd|rd|th)\b)"
)


def holds_answer(text: str, answer: str) -> bool:
    """Whether the text's last number is the answer, or the answer's words stand in it, if it is no number.

    Words are compared without regard to case and to how much white space is between them.
    """
    expected = _number(answer)
    if expected is not None:
        numbers = _NUMBER.findall(text)
        return bool(numbers) and _number(numbers[-1]) == expected
    words = r"\s+".join(map(re.escape, answer.split()))
    return bool(words) and re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None


def _number(text: str) -> Decimal | None:
    plain = text.strip().replace("$", "").replace(",", "").replace("\u2212", "-")
    return Decimal(plain) if re.fullmatch(r"-?\d+(\.\d+)?", plain) else None
