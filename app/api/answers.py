"""How answers begin, and how they are sent."""

import time
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from app.api.service import new_id
from app.api.serving import Serving


@dataclass(frozen=True)
class Head:
    """The fields that name an answer, the same in every chunk of a stream."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    seed: int

    def fields(self) -> dict[str, Any]:
        """The fields by name."""
        return vars(self)  # not dataclasses.asdict, which copies deeply: this runs for every token


def head(prefix: str, serving: Serving, seed: int) -> Head:
    """The head of a new answer."""
    return Head(new_id(prefix), int(time.time()), serving.name, serving.fingerprint, seed)


class JsonAnswer(Response):
    """A response model as it is, without a second validation: the JSON that `json_of` makes of it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content, media_type="application/json")
