"""Named API keys: what is kept of them, in a file or in the environment, and how a new one is made.

Of a key only its SHA-256 is kept. A key has 256 random bits, so nobody finds one that has a given hash; a
slow hash, which passwords need since people make them up, would only add work to every request.
"""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.errors import DemurError
from models.files import write_atomically

MAX_BYTES = 2**20
"""No file of keys is larger."""

_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True)
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_Most = Annotated[int, Field(ge=1, le=10**12)] | None


class KeysError(DemurError):
    """A file of keys cannot be read or written, or does not hold what it should; or there is no such key."""


class KeyLimits(BaseModel):
    """What a key may use. None is no limit.

    requests_per_minute: requests to /v1. tokens_per_minute: of prompts, of completions, and discarded ones.
    concurrent: requests to /v1 that are being answered at the same time.
    """

    model_config = _CONFIG

    requests_per_minute: _Most = None
    tokens_per_minute: _Most = None
    concurrent: _Most = None


class ApiKey(BaseModel):
    """A key as it is kept."""

    model_config = _CONFIG

    name: str = Field(pattern=_NAME)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: str = ""
    limits: KeyLimits = KeyLimits()


class KeyList(BaseModel):
    """Keys as a file holds them."""

    model_config = _CONFIG

    keys: tuple[ApiKey, ...] = ()

    @model_validator(mode="after")
    def _require_one_of_each(self) -> Self:
        known: dict[str, str] = {}  # names by hashes
        for key in self.keys:
            if key.name in known.values():
                raise ValueError(f"two keys have the name {key.name!r}; remove one of them")
            if key.sha256 in known:
                raise ValueError(
                    f"the keys {known[key.sha256]!r} and {key.name!r} have the same sha256; remove one"
                )
            known[key.sha256] = key.name
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all keys, in order."""
        return tuple(key.name for key in self.keys)


def hash_of(key: bytes) -> str:
    """What is kept of a key."""
    return sha256(key).hexdigest()


def new_key(name: str, limits: KeyLimits) -> tuple[str, ApiKey]:
    """A key that nobody has had, and what is to be kept of it.

    Raises:
        KeysError: the name cannot be one.
    """
    if not re.fullmatch(_NAME.removesuffix("$"), name):
        raise KeysError(
            f"{name!r} cannot be the name of a key; take at most 64 letters, digits and ._- of ASCII, a "
            "letter or digit first"
        )
    key = f"demur-{secrets.token_urlsafe(32)}"
    made = datetime.now(UTC).strftime("%Y-%m-%d")
    return key, ApiKey(name=name, sha256=hash_of(key.encode()), created=made, limits=limits)


def parse_keys(text: bytes, where: str) -> KeyList:
    """Keys from JSON. where: what errors call it.

    Raises:
        KeysError: it is no list of keys.
    """
    if len(text) > MAX_BYTES:
        raise KeysError(f"{where} has {len(text)} bytes; a list of keys has at most {MAX_BYTES}")
    try:
        return KeyList.model_validate_json(text)
    except ValidationError as error:
        detail = error.errors(include_input=False, include_url=False)[0]  # the hashes are nobody's business
        place = ".".join(map(str, detail["loc"]))
        says = detail["msg"].removeprefix("Value error, ")
        raise KeysError(
            f"{where} is no list of keys: {f'{place}: ' if place else ''}{says}. `demur keys add` writes one"
        ) from None


def read_keys(path: Path) -> KeyList:
    """The keys of a file.

    Raises:
        KeysError: it cannot be read, or is no list of keys.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeysError(f"cannot read the keys of {path}: {error.strerror or error}") from error
    return parse_keys(text, str(path))


def change_keys(path: Path, change: Callable[[KeyList], KeyList]) -> None:
    """Read a file of keys, none if it is not there, and replace it. A new one only its owner may read.

    Raises:
        KeysError: it cannot be read or written, or `change` refuses.
    """
    kept = read_keys(path) if path.exists() else KeyList()
    changed = KeyList.model_validate(change(kept))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        write_atomically(path, (changed.model_dump_json(indent=2) + "\n").encode())
        path.chmod(mode)
    except OSError as error:
        raise KeysError(f"cannot write the keys to {path}: {error.strerror or error}") from error
