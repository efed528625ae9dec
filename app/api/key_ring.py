"""The keys that a server knows now: those of its settings, and of a file that may change while it runs."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from app.api.keys import ApiKey, KeyList, KeysError, hash_of, parse_keys, read_keys
from app.settings import Settings

log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 1.0
"""A file is asked for its date at most so often, and only when somebody asks for a key."""

SINGLE = "api-key"
"""What the key of DEMUR_API_KEY is called; it has no limits."""

Stamp = tuple[int, int, int] | None
"""What tells that a file is another: its number, size and time; None where there is none."""


class KeyRing:
    """Keys by their hashes. For one thread, that of the event loop.

    A file that cannot be read any more leaves the keys as they were, and the log says why: a slip of the
    editor must not lock everybody out, nor let anybody in.
    """

    def __init__(
        self, fixed: KeyList, path: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Args:
            fixed: keys that never change.
            path: a file with more of them.

        Raises:
            KeysError: the file cannot be read, is no list of keys, or has one of the fixed keys too.
        """
        self._fixed = fixed
        self._path = path
        self._clock = clock
        self._stamp = _stamp(path)
        self._looked = clock()
        self._keys = self._read()

    @classmethod
    def of(cls, settings: Settings) -> "KeyRing | None":
        """The keys of a server, None if it asks for none.

        Raises:
            KeysError: some of them cannot be used.
        """
        fixed: tuple[ApiKey, ...] = ()
        if settings.api_key is not None:
            single = hash_of(settings.api_key.get_secret_value().encode())
            fixed = (ApiKey(name=SINGLE, sha256=single),)
        if settings.api_keys_json is not None:
            text = settings.api_keys_json.get_secret_value().encode()
            fixed += parse_keys(text, "DEMUR_API_KEYS_JSON").keys
        if not settings.asks_for_keys:
            return None
        return cls(_joined(fixed, ()), settings.api_keys)

    def find(self, key: bytes) -> ApiKey | None:
        """The key that somebody has shown, if it is one.

        It is looked up by its hash, so the time that takes tells nothing of those that are kept.
        """
        self._look_again()
        return self._keys.get(hash_of(key))

    def _look_again(self) -> None:
        now = self._clock()
        if self._path is None or now - self._looked < _LOOK_AGAIN_SECONDS:
            return
        self._looked = now
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = self._read()
        except KeysError as error:
            log.error("the API keys stay as they were: %s", error)
        else:
            log.info("read %d API keys from %s", len(self._keys), self._path)

    def _read(self) -> Mapping[str, ApiKey]:
        listed = () if self._path is None else read_keys(self._path).keys
        return {key.sha256: key for key in _joined(self._fixed.keys, listed).keys}


def _joined(some: tuple[ApiKey, ...], others: tuple[ApiKey, ...]) -> KeyList:
    """Both.

    Raises:
        KeysError: a key or its name is among both.
    """
    try:
        return KeyList(keys=(*some, *others))
    except ValueError as error:
        names = {key.name for key in some} & {key.name for key in others}
        what = f"the name {min(names)!r}" if names else "the same key"
        raise KeysError(
            f"{what} is given twice, in the settings and in the file of API keys; remove one of them"
        ) from error


def _stamp(path: Path | None) -> Stamp:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
