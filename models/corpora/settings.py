"""The settings of a corpus: every number that shapes it, in one frozen record."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import SpecError


class CorpusSettings(BaseModel):
    """Base of every corpus's settings; a subclass says which there are.

    Raises:
        SpecError: a setting that there is not, or a value outside its range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_in_words(error, list(type(self).model_fields))) from error


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raise `ValueError` for a value that is not between `low` and `high`, for use in a validator."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; it must be between {low} and {high}")


def _in_words(error: ValidationError, names: list[str]) -> str:
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    match first["type"]:
        case "value_error":
            return str(first["ctx"]["error"])  # pyright: ignore[reportTypedDictNotRequiredAccess]
        case "extra_forbidden":
            return f"there is no setting {name!r}; there are {', '.join(names)}"
        case _:
            return f"{name} is {first['input']!r}: {first['msg']}"
