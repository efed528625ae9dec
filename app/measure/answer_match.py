"""Whether a text gives the answer that is known to be right, where nobody said how to read it."""

import re

from app.measure.numbers import is_number, number_in


def holds_answer(text: str, answer: str) -> bool:
    """Whether the text's last number is the answer, or the answer's words stand in it, if it is no number.

    Words are compared without regard to case and to how much white space is between them.
    """
    if is_number(answer):
        expected = number_in(answer)
        return expected is not None and number_in(text) == expected
    words = r"\s+".join(map(re.escape, answer.split()))
    return bool(words) and re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None
