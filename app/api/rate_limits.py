"""What each key may use in a minute and at a time, and what an answer says of it, in OpenAI's headers."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from app.api.errors import ApiError
from app.api.keys import ApiKey

if TYPE_CHECKING:  # most servers have no keys, and it brings much along
    from limits import RateLimitItem

_MINUTE = 60.0

RATE_LIMIT_HEADERS = tuple(
    f"x-ratelimit-{what}-{name}"
    for name in ("requests", "tokens")
    for what in ("limit", "remaining", "reset")
)
"""What scripts of other origins may read."""

Headers = dict[str, str]


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit. reset_seconds: until more of it is there."""

    limit: int
    remaining: int
    reset_seconds: float


class RateLimits:
    """Counts by the names of keys. For one thread, that of the event loop.

    Minutes slide: what was used in the last minute counts. How many tokens a request takes is known at its
    end, so it begins if there is any left, and what it takes beyond that is owed: it is paid from the next
    minutes before anything else begins.
    """

    def __init__(self) -> None:
        from limits.storage import MemoryStorage
        from limits.strategies import SlidingWindowCounterRateLimiter

        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._owed: Counter[str] = Counter()
        self._running: Counter[str] = Counter()

    def begin(self, key: ApiKey) -> Headers:
        """Count a request that begins. Returns what its answer says of the limits.

        Raises:
            ApiError: 429, one of the limits is used up. Then the request counts for nothing.
        """
        limits = key.limits
        if limits.concurrent is not None and self._running[key.name] >= limits.concurrent:
            raise _refusal(key, f"{limits.concurrent} requests at the same time", {}, 1.0)
        tokens = self._tokens(key)
        if tokens is not None and not tokens.remaining:
            raise _refusal(key, f"{tokens.limit} tokens per minute", self.headers(key), tokens.reset_seconds)
        if limits.requests_per_minute is not None:
            window = _per_minute(limits.requests_per_minute)
            if not self._windows.hit(window, "requests", key.name):
                left = self._left(window, "requests", key)
                what = f"{limits.requests_per_minute} requests per minute"
                raise _refusal(key, what, self.headers(key), left.reset_seconds)
        self._running[key.name] += 1
        return self.headers(key)

    def end(self, key: ApiKey, tokens: int) -> None:
        """Count what a request that began has taken."""
        self._running[key.name] -= 1
        if key.limits.tokens_per_minute is not None:
            self._owed[key.name] += tokens
            self._pay(key, _per_minute(key.limits.tokens_per_minute))
        else:
            self._owed.pop(key.name, None)

    def headers(self, key: ApiKey) -> Headers:
        """`x-ratelimit-...` of each limit per minute that the key has."""
        requests = key.limits.requests_per_minute
        left = {
            "requests": None if requests is None else self._left(_per_minute(requests), "requests", key),
            "tokens": self._tokens(key),
        }
        return {
            f"x-ratelimit-{what}-{name}": value
            for name, allowance in left.items()
            if allowance is not None
            for what, value in _told(allowance).items()
        }

    def _tokens(self, key: ApiKey) -> Allowance | None:
        """What is left of the tokens, once what is owed is paid."""
        if key.limits.tokens_per_minute is None:
            return None
        window = _per_minute(key.limits.tokens_per_minute)
        owed = self._pay(key, window)
        left = self._left(window, "tokens", key)
        minutes = owed // window.amount
        return Allowance(left.limit, 0 if owed else left.remaining, left.reset_seconds + minutes * _MINUTE)

    def _pay(self, key: ApiKey, window: "RateLimitItem") -> int:
        """Take what is owed from what the window has left. Returns what is owed still."""
        paid = min(self._owed[key.name], self._left(window, "tokens", key).remaining)
        if paid and self._windows.hit(window, "tokens", key.name, cost=paid):
            self._owed[key.name] -= paid
        return self._owed[key.name]

    def _left(self, window: "RateLimitItem", what: str, key: ApiKey) -> Allowance:
        stats = self._windows.get_window_stats(window, what, key.name)
        return Allowance(window.amount, stats.remaining, max(0.0, stats.reset_time - time.time()))


def _per_minute(amount: int) -> "RateLimitItem":
    from limits import RateLimitItemPerMinute

    return RateLimitItemPerMinute(amount)


def _told(allowance: Allowance) -> Mapping[str, str]:
    return {
        "limit": str(allowance.limit),
        "remaining": str(allowance.remaining),
        "reset": _duration(allowance.reset_seconds),
    }


def _duration(seconds: float) -> str:
    """As OpenAI writes it: 1s, 6m0s."""
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _refusal(key: ApiKey, what: str, headers: Headers, seconds: float) -> ApiError:
    again = max(1, ceil(seconds))
    return ApiError(
        f"The key {key.name!r} may use {what}, which are used up; try again in {again} s",
        status=429,
        type="rate_limit_error",
        code="rate_limit_exceeded",
        headers={**headers, "retry-after": str(again)},
    )
