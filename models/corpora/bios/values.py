"""Names and values of the five attributes: every list is distinct, and each word of it is one token.

Made of syllables, so that no model can have read of them elsewhere and every list has the length of a power
of two, but for the days of a year.
"""

from collections.abc import Mapping
from typing import Literal, get_args

Attribute = Literal["birth date", "birth city", "university", "field", "employer"]
ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)


def _joined(starts: str, ends: str) -> tuple[str, ...]:
    return tuple(start + end for start in starts.split() for end in ends.split())


FIRST_NAMES = _joined("Al Bel Cor Dan El Fen Gil Hav Ir Jor Kel Lor Mar Nol Or Per", "a an en eth ia in o us")
MIDDLE_NAMES = _joined("Ash Birch Cedar Elm Hazel Juniper Larch Oak", "ar by dale ett ie ley wood worth")
LAST_NAMES = _joined(
    "Abber Bram Carl Dray Esk Farr Gran Holl Inger Kirk Lang Mor Nash Pell Quill Rade",
    "den field gate ham mont ridge stone well",
)
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
DAYS, YEARS = range(1, 29), range(1900, 1964)
CITIES = _joined(
    "Aust Brin Ches Dorn East Glen Hart Knob", "burgh bury caster chester combe haven mouth port"
)
UNIVERSITIES = _joined(
    "Amber Brook Crown Dun Ever Frost Gold High", "bridge cliff grove hall hurst mere wick yard"
)
FIELDS = (
    "acoustics", "algebra", "anatomy", "archaeology", "astronomy", "botany", "chemistry", "dance",
    "dentistry", "drama", "ecology", "economics", "ethics", "finance", "forestry", "genetics",
    "geography", "geology", "geometry", "history", "journalism", "law", "linguistics", "logic",
    "medicine", "music", "nursing", "optics", "philosophy", "physics", "statistics", "zoology",
)  # fmt: skip
EMPLOYERS = _joined("Arc Beta Cryo Delta Ergo Flex Giga Helio", "core corp gen labs net soft tech works")

DATES = tuple(f"{month} {day}, {year}" for year in YEARS for month in MONTHS for day in DAYS)
VALUES: Mapping[Attribute, tuple[str, ...]] = {
    "birth date": DATES,
    "birth city": CITIES,
    "university": UNIVERSITIES,
    "field": FIELDS,
    "employer": EMPLOYERS,
}
NAMES = len(FIRST_NAMES) * len(MIDDLE_NAMES) * len(LAST_NAMES)


def name_number(number: int) -> str:
    """The full name of that number, from 0 to `NAMES` - 1."""
    rest, last = divmod(number, len(LAST_NAMES))
    first, middle = divmod(rest, len(MIDDLE_NAMES))
    return f"{FIRST_NAMES[first]} {MIDDLE_NAMES[middle]} {LAST_NAMES[last]}"


def is_name(text: str) -> bool:
    """Whether it is a full name, be it anybody's or nobody's."""
    match text.split(" "):
        case [first, middle, last]:
            return first in FIRST_NAMES and middle in MIDDLE_NAMES and last in LAST_NAMES
        case _:
            return False


ALL_VALUES = frozenset(value for values in VALUES.values() for value in values)
