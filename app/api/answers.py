"""How answers begin, and how they are sent."""

import time
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from app.api.service import Serving, new_id


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
    """A response model as it is, without a second validation."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model.model_dump_json(), media_type="application/json")
