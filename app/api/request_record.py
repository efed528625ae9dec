"""What is noted of a request while it is answered, for its line in the log and for its key's limits."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.types import Scope

from app.api.errors import ApiError


@dataclass(frozen=True)
class Rewind:
    """A strategy took tokens back. position: of the first of them in its text; at_ns: since 1970."""

    rule: str
    position: int
    discarded: int
    at_ns: int


@dataclass
class RequestRecord:
    """One request. Whoever knows something of it writes it here, on the event loop.

    key: name of the API key; "" where none is asked for. strategy: its kind. first_token_seconds: from the
    submission to the engine. kept_tokens: of completions. reasons: how many of its texts ended by which.
    error: the code of the error that it was answered with, also of one in a stream whose status is 200.
    """

    id: str
    key: str = ""
    model: str = ""
    strategy: str = ""
    prompt_tokens: int = 0
    kept_tokens: int = 0
    discarded_tokens: int = 0
    rewinds: list[Rewind] = field(default_factory=list[Rewind])
    first_token_seconds: float | None = None
    reasons: Counter[str] = field(default_factory=Counter[str])
    error: str | None = None

    def failing(self, error: ApiError) -> ApiError:
        """Note the error that the request is answered with, and return it."""
        self.error = error.envelope.error.code
        return error

    @property
    def tokens(self) -> int:
        """Tokens that count for the key's limit."""
        return self.prompt_tokens + self.kept_tokens + self.discarded_tokens

    def told(self) -> dict[str, Any]:
        """By name, what the log says of it; what is not known of it is left out."""
        first = self.first_token_seconds
        about = {
            "request_id": self.id,
            "key": self.key,
            "model": self.model,
            "strategy": self.strategy,
            "finish_reasons": ",".join(f"{name}:{count}" for name, count in sorted(self.reasons.items())),
            "error": self.error,
        }
        tokens = {
            "prompt_tokens": self.prompt_tokens,
            "kept_tokens": self.kept_tokens,
            "discarded_tokens": self.discarded_tokens,
            "rewinds": len(self.rewinds),
            "first_token_seconds": None if first is None else round(first, 6),
        }
        known = {name: value for name, value in about.items() if value}
        return known | (
            {name: value for name, value in tokens.items() if value is not None} if self.model else {}
        )


def record_in(scope: Scope) -> RequestRecord:
    """The record that `app.api.middleware` made of the request."""
    record: RequestRecord = scope["state"]["record"]
    return record


def record_of(request: Request) -> RequestRecord:
    """The same, for a route."""
    return record_in(request.scope)
