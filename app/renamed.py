"""Models with fields that had other names in the last release: the old ones still work, with a warning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ModelWrapValidatorHandler, PrivateAttr, model_validator

from app.invalid import refusal


@dataclass(frozen=True)
class Renamed:
    """A field's old name and its new one. values: its old values and the new ones, of those that changed."""

    old: str
    new: str
    values: Mapping[str, str] = field(default_factory=dict[str, str])


class TakesOldNames(BaseModel):
    """A model whose first field is its tag, such as `kind`, and some of whose fields were renamed.

    warnings: what to tell whoever used an old name.
    """

    renamed: ClassVar[tuple[Renamed, ...]] = ()
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._warnings

    @model_validator(mode="wrap")
    @classmethod
    def _take_old_names(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, Mapping):
            return handler(given)
        fields: dict[str, Any] = dict(given)
        warnings = [_rename(fields, each, cls._tag()) for each in cls.renamed if each.old in fields]
        model = handler(fields)
        model._warnings = tuple(warnings)
        return model

    @classmethod
    def _tag(cls) -> str:
        return next(iter(cls.model_fields.values())).default


def _rename(fields: dict[str, Any], renamed: Renamed, owner: str) -> str:
    """Put the field under its new name, and say so.

    Raises:
        PydanticCustomError: it is there by both names.
    """
    old, new = renamed.old, renamed.new
    if new in fields:
        raise refusal(
            old, f"{old} is the old name of {new}, which is given too; leave {old} out", "conflicting_fields"
        )
    value = fields.pop(old)
    fields[new] = renamed.values.get(value, value) if isinstance(value, str) else value
    changed = "" if fields[new] == value else f", and its value {value!r} is {fields[new]!r}"
    return f"{old} of {owner} is called {new} now{changed}; the old name works for one more release"
