"""Whose turn it is: live requests, or those in the background.

Every turn belongs to one of the two, since a forward pass over many rows takes several times as long as one
over a single row: background rows that rode along would hold up every token of a live request. While there
is live work, turns are live, but for a small share of the time that the background gets so that it comes to
its end under any load. What else a live request may meet is the background's turn that is under way when it
arrives, so these turns are kept short while there was live work a moment ago.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Literal, TypeVar

SHARE = 0.03
"""Of the time of live turns, what the background may take besides, while both have work."""

CALM_SECONDS = 1.0
"""After so long without live work none is expected at once."""

BRISK_ROWS = 10
"""Of a live pass, while live requests keep coming to find another one under way. On a CPU it takes a third as
long as one over 32 rows, and whoever comes waits for the one that it finds."""

# On a CPU, a pass over 4 rows takes a quarter longer than one over a single row; one over 32 takes five times
# as long.
CAUTIOUS_ROWS = 4
# What a prompt of usual length has. On a CPU, prompts that are read together take as long as one by one.
CAUTIOUS_PREFILL_TOKENS = 128
CALM_PREFILL_TOKENS = 512


@dataclass(frozen=True)
class Turn:
    """Which requests the next forward pass is for, and the most rows and uncached prompt tokens in it.

    contended: the others have work too. brisk: whoever comes should not find a long pass under way.
    """

    background: bool
    rows: int
    prefill_tokens: int
    contended: bool = False
    brisk: bool = False


class Turns:
    """Deals the turns out. Times are in seconds, of any clock that does not go back."""

    def __init__(self, max_rows: int, max_prefill_tokens: int) -> None:
        self._live = Turn(False, max_rows, max_prefill_tokens)
        self._live_contended = Turn(False, max_rows, max_prefill_tokens, contended=True)
        calm_prefill = min(max_prefill_tokens, CALM_PREFILL_TOKENS)
        self._calm = Turn(True, max_rows, calm_prefill)
        rows, prefill = min(max_rows, CAUTIOUS_ROWS), min(max_prefill_tokens, CAUTIOUS_PREFILL_TOKENS)
        self._cautious = Turn(True, rows, prefill)
        self._cautious_contended = Turn(True, rows, prefill, contended=True)
        self._last_live = self._last_newcomer = -inf
        self._credit = 0.0

    def newcomer(self, now: float) -> None:
        """Note that a live request has found another one under way."""
        self._last_newcomer = now

    def next(self, live: bool, background: bool, now: float) -> Turn:
        """The turn to be taken at `now` if there is live work, or work in the background, or both."""
        if live:
            self._last_live = now
        if not live:
            return self._calm if now - self._last_live > CALM_SECONDS else self._cautious
        if background and self._credit > 0:
            return self._cautious_contended
        turn = self._live_contended if background else self._live
        return replace(turn, brisk=now - self._last_newcomer <= CALM_SECONDS)

    def taken(self, turn: Turn, seconds: float) -> None:
        """Note how long a turn took."""
        if turn.contended:
            self._credit += -seconds if turn.background else SHARE * seconds


FRESH_IN_A_ROW = 4
"""Passes for those without a token, before the others go on."""

PREFILL_SECONDS, BRISK_PREFILL_SECONDS = 0.03, 0.01
"""What reading prompts may take in a live pass, usually and in a brisk one. On a CPU, that is about what the
rows of such a pass take, which whoever comes may have to wait for anyway."""

LEAST_PREFILL_TOKENS, LEAST_BRISK_PREFILL_TOKENS = 128, 64
"""Of a pass, however slow the machine is. Reading the weights takes as long as some 20 to 60 tokens of a
prompt do, so in smaller pieces much of the time would go into the weights."""

LEAST_PIECE = 48
"""Of a prompt that is read in pieces, however slow the machine is: whoever comes waits for the piece under
way, which late in a long text takes about twice as long as at its beginning."""

LEAST_GROWS = 8
"""So many times the least is let through, if so many more sequences wait for their first token than go on."""

Work = Literal["fresh", "read", "all"]

_T = TypeVar("_T")


class LiveOrder:
    """Which work comes next while there are live requests.

    A group without a token has a pass of its own, so that its first token waits for no more than the pass
    that is under way when it arrives. Texts that are only read have every other of the remaining turns.
    """

    def __init__(self) -> None:
        self._fresh_in_a_row = 0
        self._has_read = False

    def next(self, fresh: int, pending: int, *, reading: bool) -> Work:
        """fresh: how many of the pending sequences belong to groups without a token. reading: there is a text
        to be read."""
        if fresh and (fresh < pending or reading) and self._fresh_in_a_row < FRESH_IN_A_ROW:
            self._fresh_in_a_row += 1
            return "fresh"
        self._fresh_in_a_row = 0
        self._has_read = reading and not (self._has_read and pending)
        return "read" if self._has_read else "all"


@dataclass(frozen=True)
class Portion:
    """How many uncached prompt tokens a pass reads.

    whole: most of a prompt that is read to its end. together: of all such prompts. piece: of a longer one.
    """

    together: int
    whole: int
    piece: int


class PrefillPace:
    """How many prompt tokens a live pass may read, by how fast the last ones were read."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._per_second = 0.0

    def portion(self, turn: Turn, beginning: int, pending: int) -> Portion:
        """That of the next pass.

        A pass that reads holds up those who go on; what it does not read holds up those who wait for their
        first token, and later passes have fewer rows. So where nobody goes on yet, short prompts are read all
        at once. A long one is read in pieces all the same, for the sake of whoever comes meanwhile.

        Args:
            beginning: how many of the pending sequences have no token.
        """
        if turn.background:
            return Portion(turn.prefill_tokens, turn.prefill_tokens, turn.prefill_tokens)
        least, seconds = LEAST_PREFILL_TOKENS, PREFILL_SECONDS
        if turn.brisk:
            least, seconds = LEAST_BRISK_PREFILL_TOKENS, BRISK_PREFILL_SECONDS
        in_time = int(self._per_second * seconds)
        grown = least * min(LEAST_GROWS, beginning // max(1, pending - beginning))
        most = self._most
        return Portion(
            together=min(most, max(least, in_time, grown)),
            whole=min(most, max(least, in_time)),
            piece=min(most, max(LEAST_PIECE, in_time)),
        )

    def taken(self, tokens: int, seconds: float) -> None:
        """Note what reading took. Few tokens say little about many."""
        in_time = int(self._per_second * BRISK_PREFILL_SECONDS)
        few = min(self._most, max(LEAST_BRISK_PREFILL_TOKENS, in_time)) / 2
        if tokens >= few and seconds > 0:
            rate = tokens / seconds
            self._per_second = rate if not self._per_second else 0.7 * self._per_second + 0.3 * rate


def brisk_part(waiting: Iterable[_T], group_of: Callable[[_T], Hashable]) -> list[_T]:
    """Who takes part in a brisk pass: of those who wait, first come first, one of every group in turn up to
    `BRISK_ROWS`, and one of every group if there are more groups."""
    before: Counter[Hashable] = Counter()
    rounds: list[tuple[int, _T]] = []
    for each in waiting:
        group = group_of(each)
        rounds.append((before[group], each))
        before[group] += 1
    rounds.sort(key=lambda pair: pair[0])
    return [each for _, each in rounds[: max(BRISK_ROWS, len(before))]]
