"""The handle through which a strategy writes text: draw, extend, fork, rewind, force, finish.

A sequence is plain data. Awaiting `next`, `force` or `gather` hands a request object to whatever drives the
coroutine (the engine's event loop), which answers with tokens. So a strategy reads like the
pseudo-code of its paper, and batching, caches and devices stay out of its sight.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import replace

from app.decoding.core.commands import Candidates, ForcedToken, NextToken, SamplingPolicy
from app.decoding.core.ending import Finish
from app.decoding.core.live import Forked
from app.decoding.core.randomness import uniform
from app.decoding.core.span import Span, Until
from app.decoding.core.text import Text
from app.decoding.core.types import Event, Token
from app.decoding.sampling.params import SamplingParams
from app.errors import StrategyError


class Sequence(Text):
    """A text that a strategy acts on. It gets the first one and forks the others from it."""

    def next(self, sampling: SamplingParams | SamplingPolicy | None = None) -> NextToken:
        """Await this for one token, drawn by `sampling` or else by the request's own chain.

        A policy is called with the signals at this position (those that do not depend on the
        token to be drawn) and returns the chain to draw with.

        Raises:
            StrategyError: the sequence is finished.
        """
        if self._finish is not None:
            raise _ended("next", self._finish)
        return NextToken(self, self.spec.sampling if sampling is None else sampling)

    def several(
        self, sampling: SamplingParams | SamplingPolicy | None = None, most: int | None = None
    ) -> NextToken:
        """Await this where it makes no difference whether one token is written or a few: the engine takes its
        turn as it likes, and `most` is never exceeded. Otherwise as `next`.

        Raises:
            StrategyError: the sequence is finished, or `most` is less than 1.
        """
        self._require_unfinished("several")
        if most is not None and most < 1:
            raise StrategyError(f"several(most={most}); ask for at least 1.")
        room = self.room if most is None else min(most, self.room)
        return NextToken(self, self.spec.sampling if sampling is None else sampling, room)

    def candidates(self, count: int, sampling: SamplingParams | None = None) -> Candidates:
        """Await this for the `count` likeliest next tokens, likeliest first, after penalties and logit bias.

        Each comes with its signals, as if it had been drawn; `take` one here or in a fork. Fewer come where
        the others are ruled out. It costs one token, and taking costs nothing.

        Raises:
            StrategyError: the sequence is finished, or `count` is less than 1.
        """
        self._require_unfinished("candidates")
        if count < 1:
            raise StrategyError(f"candidates({count}); ask for at least 1.")
        return Candidates(self, count, self.spec.sampling if sampling is None else sampling)

    def take(self, token: Token) -> None:
        """Append one of the `candidates` of this position.

        Raises:
            StrategyError: the sequence is finished.
        """
        self._require_idle("take")
        self._require_unfinished("take")
        self._append(token)

    async def extend(
        self,
        until: Until | None = None,
        max_tokens: int | None = None,
        sampling: SamplingParams | SamplingPolicy | None = None,
    ) -> Span:
        """Draw tokens until `until` holds of those drawn, `max_tokens` are, or the text ends.

        Returns the new tokens; none if the sequence was finished already.
        """
        start = self.position
        while self._finish is None:
            left = None if max_tokens is None else max_tokens - (self.position - start)
            if left is not None and left <= 0:
                break
            # What follows a token is decided here where somebody looks at every one.
            await (self.several(sampling, left) if until is None else self.next(sampling))
            if until is not None and until(self.span(start)):
                break
        return self.span(start)

    def fork(self, n: int = 1) -> "list[Sequence]":
        """`n` independent sequences that go on from here. This one stays usable.

        Each has random numbers of its own. They cost nothing until they draw a token, and free
        their place in the cache as soon as the strategy drops them.
        """
        self._require_idle("fork")
        if n < 1:
            raise StrategyError(f"fork(n={n}); n must be at least 1.")
        return [self._fork() for _ in range(n)]

    def rewind(self, to: int, reason: str, detail: Mapping[str, float | int | str] | None = None) -> None:
        """Take back all tokens from position `to` on, and note it in the trace as rule `reason`.

        The next token drawn there gets a fresh random number.

        Raises:
            StrategyError: `to` is negative, ahead of the text, or before a committed token.
        """
        self._require_idle("rewind")
        if not self._committed <= to <= self.position:
            raise StrategyError(
                f"rewind(to={to}); it must be between {self._committed} (tokens committed) and "
                f"{self.position} (tokens written)."
            )
        discarded = self.position - to
        for position in range(to, self.position):
            self._attempts[position] = self._attempts.get(position, 0) + 1
        del self._tokens[to:]
        self.context.truncate(len(self.spec.prompt_ids) + to)
        if discarded:
            self._finish = None
        event = Event(to, reason, {"discarded": discarded, **(detail or {})})
        self.ledger.note(self.branch, event, cut=discarded > 0)

    async def force(self, token_ids: Items[int], reason: str = "force") -> Span:
        """Append given tokens, up to where they end the text, and note it in the trace.

        Each is read as if it had been drawn, and costs as much. Returns the tokens that were appended.

        Raises:
            StrategyError: the sequence is finished, or an id is outside the vocabulary.
        """
        self._require_idle("force")
        self._require_unfinished("force")
        for token_id in token_ids:
            if not 0 <= token_id < len(self.spec.vocabulary):
                raise StrategyError(
                    f"force() with token id {token_id}; ids are 0 to {len(self.spec.vocabulary) - 1}."
                )
        start = self.position
        for token_id in token_ids:
            if self._finish is not None:
                break
            await ForcedToken(self, token_id)
        self.ledger.note(self.branch, Event(start, reason, {"forced": self.position - start}))
        return self.span(start)

    def finish(self, reason: str) -> None:
        """End the text here, with finish reason "stop" and `reason` as its stop reason.

        What is no part of a text that had ended already, such as its end token, stays so.
        """
        self._require_idle("finish")
        self._finish = replace(self._finish or Finish("stop"), reason="stop", stop_reason=reason)
        self.record("finish", {"reason": reason})

    def decline(self, reason: str, detail: Mapping[str, float | int | str] | None = None) -> None:
        """Take back what is not committed and give no answer: finish reason "abstain", `reason` as its stop
        reason, and an entry in the trace."""
        self._require_idle("decline")
        self.rewind(self._committed, "abstain", {"reason": reason, **(detail or {})})
        self._finish = Finish("abstain", reason)

    def commit(self) -> None:
        """Declare the text so far final: it can be sent and will not be rewound.

        Raises:
            StrategyError: another branch has committed different tokens.
        """
        ledger = self.ledger
        if ledger.output is not self:
            self._require_extends_committed()
            ledger.output = self
        self._committed = ledger.committed = max(ledger.committed, len(self._tokens))

    def coin(self, purpose: str) -> float:
        """A uniform number in [0, 1) for a decision of the strategy's own: a fresh one at every call, and the
        same ones for the same seed."""
        self._coins += 1
        return uniform(self.spec.seed, self.branch, self.position, self._coins, f"coin {purpose}")

    def record(self, rule: str, detail: Mapping[str, float | int | str]) -> None:
        """Add an entry to the decision trace, at this position."""
        self.ledger.note(self.branch, Event(self.position, rule, detail))

    def _fork(self) -> "Sequence":
        child = Sequence(self.spec, self.ledger, (*self.branch, self._forks))
        self._forks += 1
        child.context.ids[:] = self.context.ids
        child.origin = self.origin or self.context
        child._tokens[:] = self._tokens
        child._finish = self._finish
        child._committed = self._committed
        if self.ledger.live is not None:
            self.ledger.live.add(Forked(child.branch, self.branch, len(self._tokens)))
        return child

    def _require_idle(self, action: str) -> None:
        if self.pending:
            raise StrategyError(
                f"{action}() on a sequence that another branch is drawing a token for; "
                "fork() it and let each branch have its own."
            )

    def _require_unfinished(self, action: str) -> None:
        if self._finish is not None:
            raise _ended(action, self._finish)

    def _require_extends_committed(self) -> None:
        output, committed = self.ledger.output, self.ledger.committed
        if output is None:
            return
        theirs = [token.id for token in output.tokens[:committed]]
        if [token.id for token in self._tokens[:committed]] != theirs:
            raise StrategyError(
                f"This branch does not begin with the {committed} tokens that another branch has "
                "committed; commit only what every branch that may win has in common."
            )


def _ended(action: str, finish: Finish) -> StrategyError:
    return StrategyError(
        f"{action}() on a sequence that ended with {finish.reason!r}; check `sequence.finished`, or rewind() "
        "it first."
    )
