"""What each API key may use in a minute and at a time."""

import pytest

from app.api.errors import ApiError
from app.api.rate_limits import RateLimits
from tests.app.api.test_keys import Clock, key


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of `limits`."""
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    return clock


def test_requests_of_a_minute_that_slides(clock: Clock) -> None:
    limits, alice = RateLimits(), key(requests_per_minute=2)
    told = limits.begin(alice)
    assert told["x-ratelimit-limit-requests"] == "2"
    assert told["x-ratelimit-remaining-requests"] == "1"
    assert told["x-ratelimit-reset-requests"] == "50s"
    assert "x-ratelimit-limit-tokens" not in told
    assert limits.begin(alice)["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(ApiError, match="2 requests per minute") as raised:
        limits.begin(alice)
    assert raised.value.status == 429
    assert raised.value.headers["retry-after"] == "50"
    assert raised.value.headers["x-ratelimit-remaining-requests"] == "0"
    limits.begin(key("bob", requests_per_minute=2))  # whose minutes are his own
    clock.now += 49
    with pytest.raises(ApiError):
        limits.begin(alice)
    clock.now += 2
    limits.begin(alice)


def test_tokens_are_counted_at_the_end_and_what_is_too_much_is_paid_from_the_next_minutes(
    clock: Clock,
) -> None:
    limits, alice = RateLimits(), key(tokens_per_minute=100)
    assert limits.begin(alice)["x-ratelimit-remaining-tokens"] == "100"
    limits.end(alice, 30)
    assert limits.begin(alice)["x-ratelimit-remaining-tokens"] == "70"
    limits.end(alice, 320)  # 250 more than there are
    with pytest.raises(ApiError, match="100 tokens per minute") as raised:
        limits.begin(alice)
    assert int(raised.value.headers["retry-after"]) == 170
    begun = []
    for second in range(1, 600):
        clock.now += 1
        try:
            limits.begin(alice)
        except ApiError:
            continue
        begun.append(second)
        break
    assert 170 <= begun[0] <= 260, (
        "350 tokens are those of three minutes and a half, the first of which were there"
    )


def test_requests_at_the_same_time() -> None:
    limits, alice = RateLimits(), key(concurrent=1)
    assert limits.begin(alice) == {}
    with pytest.raises(ApiError, match="1 requests at the same time"):
        limits.begin(alice)
    limits.end(alice, 5)
    limits.begin(alice)
