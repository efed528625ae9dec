"""How strategies go on from what was found for them."""

from collections.abc import Iterator
from collections.abc import Sequence as Items

from app.decoding.core.types import Token
from app.engine.failures import broken_logits
from app.engine.lanes import Lane
from app.engine.rows import Pending, Row
from app.engine.tasks import run
from app.engine.types import Counters
from app.engine.under_way import UnderWay

TokensOfRow = Token | tuple[Token, ...] | Iterator[Token]
"""A token, or candidates for one, or tokens of which each is read when it is taken."""

Answer = TokensOfRow | Exception
"""What a row gets: tokens, or what its sampling policy raised."""


class Strategies:
    """Those of the choices under way."""

    def __init__(self, under_way: UnderWay, counters: Counters) -> None:
        self._under_way = under_way
        self._counters = counters

    def resume(self, lane: Lane, rows: Items[Row], replies: Items[Answer]) -> None:
        """Let the strategies of rows go on from their answers."""
        for row, reply in zip(rows, replies, strict=bool(replies)):
            pending, choice = row.pending, row.pending.choice
            if pending.task.request is not row.request:  # stopped by a branch resumed before it
                continue
            pending.group.fresh = False
            row.request.sequence.pending = False
            if isinstance(reply, Exception):
                resumed = run(pending.task, error=reply)
            else:
                taken = self._take(row, reply)
                if broken := broken_logits(taken):
                    self._under_way.fail(choice.owner, broken)
                    continue
                resumed = run(pending.task, taken)
            for task in resumed:
                lane.pending.append(pending if task is pending.task else Pending(choice, task))
            self._under_way.settle(choice)

    def _take(self, row: Row, reply: TokensOfRow) -> Token | tuple[Token, ...]:
        """Put what a row is answered into its text; candidates are not. What its strategy is told of it: the
        last token, or one whose logits are broken, which comes first then and is not put anywhere."""
        sequence, last = row.request.sequence, None
        if isinstance(reply, tuple):
            self._counters.drawn_tokens += 1
            sequence.ledger.spent += 1
            return reply
        for token in (reply,) if isinstance(reply, Token) else reply:
            if token.logprob != token.logprob:
                return last or token
            self._counters.drawn_tokens += 1
            sequence.accept(token)
            row.slot.written(len(row.ids) - 1)
            last = token
        assert last is not None, "a row has one token at least"
        return last
