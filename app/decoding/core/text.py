"""A text while it is being written: its tokens, how it ended, and what all texts of one choice add up to.

Positions count the completion's tokens: 0 is the first token after the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.decoding.core.context import Context
from app.decoding.core.ending import Finish, find_ending
from app.decoding.core.live import Branch, LiveLog, Noted, RolledBack, TokenWritten
from app.decoding.core.randomness import uniform
from app.decoding.core.span import SequenceSpec, Span
from app.decoding.core.types import Event, Token
from app.decoding.sampling.params import SamplingParams


@dataclass
class Ledger:
    """What all sequences of one choice add up to.

    spent: tokens that were computed so far, in whatever branch: one for each that was drawn or forced, and
        one for each look at candidates, however many of them are taken.
    output, committed: the sequence that spoke last for the choice, and how many of its tokens
        are final and may be sent.
    live: where everything that happens is told; None if nobody watches.
    """

    events: list[Event] = field(default_factory=list[Event])
    spent: int = 0
    output: "Text | None" = None
    committed: int = 0
    live: LiveLog | None = None

    def note(self, branch: Branch, event: Event, *, cut: bool = False) -> None:
        """Add an entry to the decision trace. cut: the branch was cut back to the entry's position."""
        self.events.append(event)
        if self.live is not None:
            self.live.add(RolledBack(branch, event) if cut else Noted(branch, event))


class Text:
    """What there is to read of a text, and how a computed token is added to it: the engine's side of a
    `Sequence`."""

    def __init__(self, spec: SequenceSpec, ledger: Ledger, branch: Branch = (0,)) -> None:
        self.spec = spec
        self.ledger = ledger
        self.branch = branch
        self.context = Context(list(spec.prompt_ids))
        self.origin: Context | None = None
        self.pending = False
        self._tokens: list[Token] = []
        self._finish: Finish | None = None
        self._committed = 0
        self._forks = 0
        self._coins = 0
        self._attempts: dict[int, int] = {}
        self._max_length = min(spec.stopping.max_tokens, max(0, spec.context_length - len(spec.prompt_ids)))
        if self._max_length == 0:
            self._finish = Finish("length")
        if ledger.live is not None:
            ledger.live.watch(self, branch)

    @property
    def sampling(self) -> SamplingParams:
        """The request's own sampling chain."""
        return self.spec.sampling

    @property
    def choice(self) -> int:
        """Number of the choice that it is written for, from 0, where a request asks for several."""
        return self.branch[0]

    @property
    def tokens(self) -> Sequence[Token]:
        """The completion's tokens so far. Do not change the list."""
        return self._tokens

    @property
    def position(self) -> int:
        """Position of the token that comes next."""
        return len(self._tokens)

    @property
    def text(self) -> str:
        """The completion's text so far, with whatever ended it."""
        return self.spec.text(self._tokens)

    @property
    def finished(self) -> bool:
        return self._finish is not None

    @property
    def ending(self) -> Finish | None:
        return self._finish

    @property
    def room(self) -> int:
        """How many tokens may still come."""
        return self._max_length - len(self._tokens)

    @property
    def attempt(self) -> int:
        """How often the token at `position` was drawn in this branch and taken back."""
        return self._attempts.get(len(self._tokens), 0)

    def uniform(self, purpose: str = "") -> float:
        """A uniform number in [0, 1) for the draw of the token that comes next; see `randomness.uniform`."""
        position = len(self._tokens)
        return uniform(self.spec.seed, self.branch, position, self._attempts.get(position, 0), purpose)

    def uniforms(self, count: int) -> list[float]:
        """`uniform` for each of the next `count` tokens."""
        seed, branch, attempts, first = self.spec.seed, self.branch, self._attempts, len(self._tokens)
        return [
            uniform(seed, branch, position, attempts.get(position, 0))
            for position in range(first, first + count)
        ]

    def span(self, start: int) -> Span:
        """The tokens from `start` on."""
        return Span(start, tuple(self._tokens[start:]), self.spec)

    def accept(self, token: Token) -> None:
        """Append a token that was computed for this sequence alone."""
        self.ledger.spent += 1
        self._append(token)

    def _append(self, token: Token) -> None:
        self.context.ids.append(token.id)
        self._tokens.append(token)
        self._finish = find_ending(self.spec, self._tokens, self._max_length)
        if self.ledger.live is not None:
            ends = self._finish is not None and self._finish.ended_by_token
            self.ledger.live.add(TokenWritten(self.branch, len(self._tokens) - 1, token, ends))
