"""How the answer is read from a text that a model wrote."""

from typing import Annotated, Literal

import regex
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from app.invalid import refusal
from app.measure.numbers import last_number
from app.patterns import TooLongError, require_pattern
from app.renamed import Renamed, TakesOldNames

_CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True)

SEARCH_SECONDS = 1.0
"""A pattern that takes longer on one text found nothing: some take longer than the universe is old.

Of processor time, which all threads of the process use up together.
"""


class Marker(TakesOldNames):
    """The answer is what stands after the last marker, up to the end of its line."""

    model_config = _CONFIG
    renamed = (Renamed("marker", "answer_marker"),)

    rule: Literal["marker"] = "marker"
    answer_marker: str = Field(
        default="Answer:", min_length=1, max_length=256, description="What stands before it."
    )

    def read(self, text: str) -> str | None:
        """The answer, None where there is no marker."""
        _, found, rest = text.rpartition(self.answer_marker)
        return rest.lstrip().split("\n", 1)[0].strip() if found else None


class Pattern(BaseModel):
    """The answer is what a regular expression finds first."""

    model_config = _CONFIG

    rule: Literal["regex"]
    pattern: str = Field(min_length=1, max_length=1024, description="A regular expression, Python's.")
    group: int | None = Field(
        default=None,
        ge=0,
        le=99,
        description="Number of the group that is the answer; 0 is the whole match. Default: the first group, "
        "the whole match if there is none.",
    )

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            require_pattern(pattern)
        except TooLongError as error:
            raise refusal("pattern", f"pattern is {pattern!r}, which {error}", "out_of_range") from error
        except ValueError as error:
            raise refusal("pattern", f"pattern is {pattern!r}, which {error}") from error
        return pattern

    @field_validator("group")
    @classmethod
    def _there_is_one(cls, group: int | None, info: ValidationInfo) -> int | None:
        pattern = info.data.get("pattern")
        if group is not None and pattern is not None and group > (there := regex.compile(pattern).groups):
            raise refusal(
                "group",
                f"group is {group}, but the pattern has {there} groups; count from 1",
                "conflicting_fields",
            )
        return group

    def read(self, text: str) -> str | None:
        """The answer, None where nothing is found, in time."""
        compiled = regex.compile(self.pattern)
        group = self.group if self.group is not None else min(1, compiled.groups)
        try:
            # concurrent: without it nobody else runs meanwhile, not the decoding and not the server.
            match = compiled.search(text, timeout=SEARCH_SECONDS, concurrent=True)
        except TimeoutError:
            return None
        found = None if match is None else match.group(group)
        return None if found is None else found.strip()


class Exact(BaseModel):
    """The whole text is the answer, but for white space around it."""

    model_config = _CONFIG

    rule: Literal["exact"]

    def read(self, text: str) -> str | None:
        """The answer."""
        return text.strip()


class LastNumber(BaseModel):
    """The answer is the last number in the text: of `12`, `-3`, `1,200`, `2.5`, `1e-3` or `3/4`."""

    model_config = _CONFIG

    rule: Literal["last_number"]

    def read(self, text: str) -> str | None:
        """The answer, None where there is no number."""
        return last_number(text)


Reading = Annotated[Marker | Pattern | Exact | LastNumber, Field(discriminator="rule")]


def is_right(found: str | None, expected: str) -> bool:
    """Whether an answer is the right one; white space around either does not count."""
    return found is not None and found.strip() == expected.strip()
