"""A model as JSON, made in pieces, so that other threads run in between.

Pydantic writes a model in one go, during which no other thread runs, the event loop neither: 0.2 s for 8 MB.
"""

from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

PIECE = 2000
"""Numbers and texts that are written in one go: less than a millisecond."""


def json_of(model: BaseModel) -> bytes:
    """The same JSON as `model_dump_json`; long lists may stand behind a model's other fields.

    The models of answers have no aliases and no serialisers of their own. The model is used up: what is
    written of a long list is let go of, since freeing half a million objects in one go takes half a second.
    """
    written: list[bytes] = []
    _write(model, written)
    return b"".join(written)


def weight(value: Any) -> int:
    """How many numbers and texts a value holds, about."""
    if isinstance(value, BaseModel):
        return 1 + sum(map(weight, vars(value).values())) + len(value.model_extra or ())
    if isinstance(value, dict):
        return 1 + sum(map(weight, value.values()))
    if isinstance(value, list | tuple):
        plain = not value or isinstance(value[0], str | int | float)
        return 1 + (len(value) if plain else sum(map(weight, value)))
    return 1


def _write(value: Any, written: list[bytes]) -> None:
    if isinstance(value, list) and weight(value) > PIECE:
        _write_list(value, written)
        return
    heavy = _heavy(value) if isinstance(value, BaseModel) else []
    if not heavy:
        written.append(_piece(value))
        return
    assert isinstance(value, BaseModel)
    rest = value.model_dump_json(exclude=set(heavy)).encode()
    written.append(rest[:-1])
    for place, name in enumerate(heavy):
        comma = b"," if place or len(rest) > len(b"{}") else b""
        written.append(comma + _piece(name) + b":")
        _write(getattr(value, name), written)
    written.append(b"}")


def _heavy(model: BaseModel) -> list[str]:
    return [
        name
        for name, value in vars(model).items()
        if isinstance(value, list | BaseModel) and weight(value) > PIECE
    ]


def _write_list(items: list[Any], written: list[bytes]) -> None:
    """Light items in runs, heavy ones one by one; each is gone from the list once it is written."""
    written.append(b"[")
    begun, start, run = False, 0, 0
    for place, item in enumerate(items):
        run += weight(item)
        if run <= PIECE and place + 1 < len(items):
            continue
        if begun:
            written.append(b",")
        if start == place:
            _write(item, written)
        else:
            written.append(_piece(items[start : place + 1])[1:-1])
        items[start : place + 1] = [None] * (place + 1 - start)
        begun, start, run = True, place + 1, 0
    written.append(b"]")


def _piece(value: Any) -> bytes:
    if isinstance(value, BaseModel):
        return value.model_dump_json().encode()
    return to_json(value, inf_nan_mode="null")
