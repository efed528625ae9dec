"""Requests and choices that are being decoded, the groups that they came in, and what they have to tell."""

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property

from app.decoding.core.live import LiveLog
from app.decoding.core.sequence import Sequence
from app.decoding.core.span import SequenceSpec
from app.decoding.core.text import Ledger
from app.decoding.core.types import Token
from app.engine.queue import Queue
from app.engine.reading import Reading
from app.engine.scoring import GivenText, ScoreJob
from app.engine.slot import Salt, Standing
from app.engine.stream import Stream
from app.engine.tasks import Task
from app.engine.text import Piece, TextStream
from app.engine.types import (
    ChoiceDone,
    GenerationRequest,
    LiveOut,
    PromptScored,
    StreamItem,
    TokenOut,
    Usage,
)
from app.errors import StrategyError


@dataclass(eq=False)
class RequestGroup:
    """The requests of one HTTP request, which are taken together, share a turn and have one deadline; or one
    request in the background.

    client: whose it is; clients have equal parts of the slots, and so have the groups of a client.
    queue: the one that it waits in until it has begun; None in the background, where nobody waits in line.
    timeout: seconds from its arrival until it is ended with an error; None = never.
    members: requests that have not ended. unread: texts that are yet to be read, echoed prompts among them.
    waiting: requests with choices that have not begun, and unstarted: the number of these choices.
    choices: those under way, in order of beginning. may_begin: how many more may begin now.
    fresh: none of its choices has a token yet.
    """

    client: str = ""
    background: bool = False
    queue: Queue | None = None
    timeout: float | None = None
    arrived: float = 0.0
    members: "dict[ActiveRequest, None]" = field(default_factory=dict["ActiveRequest", None])
    unread: "deque[ScoreJob | ActiveRequest]" = field(default_factory=deque["ScoreJob | ActiveRequest"])
    waiting: "deque[ActiveRequest]" = field(default_factory=deque["ActiveRequest"])
    unstarted: int = 0
    choices: "list[Choice]" = field(default_factory=list["Choice"])
    may_begin: int = 0
    fresh: bool = True
    begun: bool = False

    @property
    def demand(self) -> int:
        """Slots that it could use now."""
        return self.unstarted + sum(choice.demand for choice in self.choices)

    def begin(self, now: float) -> None:
        """Note that it waits no longer."""
        if not self.begun:
            self.begun = True
            if self.queue is not None:
                self.queue.leave(now, self.client)

    def give_up(self) -> None:
        """Note that it will never begin."""
        if not self.begun:
            self.begun = True
            if self.queue is not None:
                self.queue.leave(client=self.client)

    def make_room(self, choice: "Choice", asking: int) -> None:
        """Entitle a choice that has just begun to slots for so many branches, if the group has them."""
        choice.asking = asking
        more = max(0, min(asking - 1, self.may_begin))
        choice.standing.entitled += more
        self.may_begin -= more

    @property
    def over(self) -> bool:
        """Nothing of it is left."""
        return not (self.members or self.unread)

    def entitle(self, share: int, slots: int) -> "list[Choice]":
        """Entitle its choices to a share of the slots, those that began first before the others.

        A choice gets all that its branches can use or nothing, since branches that wait for each other
        would be computed anew at every token; unless it could never have enough. Returns those for which
        there was no room.
        """
        left, unfit = share, list["Choice"]()
        for choice in self.choices:
            demand = choice.demand
            if demand > left and demand <= slots:
                unfit.append(choice)
                choice.standing.entitled = 0
                continue
            choice.standing.entitled = min(demand, left)
            left -= choice.standing.entitled
        self.may_begin = 0 if unfit else min(left, self.unstarted)
        return unfit


@dataclass(eq=False)
class Choice:
    """One completion of a request.

    standing: among those that share the slots. asking: how many of its branches wait for a token.
    sent: how many tokens of the output went into `text`; emitted: those that came out.
    """

    owner: "ActiveRequest"
    index: int
    ledger: Ledger
    task: Task
    text: TextStream
    standing: Standing
    asking: int = 0
    sent: int = 0
    emitted: list[Token] = field(default_factory=list[Token])

    @property
    def demand(self) -> int:
        """Slots that its branches can use now."""
        return self.asking + self.standing.resting

    def committed(self) -> list[StreamItem]:
        """Items for what the strategy has committed since the last call.

        The token that ended the sequence waits for `finished`, which knows what to cut.
        """
        output = self.ledger.output
        if output is None:
            return []
        upto = self.ledger.committed
        if output.ending is not None and upto == output.position:
            upto -= 1
        items: list[StreamItem] = []
        vocabulary = self.owner.spec.vocabulary
        for token in output.tokens[self.sent : upto]:
            self._tell(self.text.push(token, vocabulary[token.id]), items)
        self.sent = max(self.sent, upto)
        return items

    def finished(self) -> tuple[list[StreamItem], Sequence]:
        """The last items of the choice, and its sequence, once the strategy has returned.

        Raises:
            StrategyError: it did not return a sequence of this choice that goes on from what was
                committed.
        """
        result = self.task.result
        if not isinstance(result, Sequence) or result.ledger is not self.ledger:
            raise StrategyError(
                f"decode() returned {result!r}; it must return the sequence it was given or one forked "
                "from it."
            )
        if result.ending is None:
            result.finish("strategy")
        result.commit()
        items = self.committed()
        ending = result.ending
        assert ending is not None
        rest = result.tokens[self.sent :]
        written = rest[:-1] if ending.ended_by_token else rest
        vocabulary = self.owner.spec.vocabulary
        pieces, text = self.text.finish([(token, vocabulary[token.id]) for token in written], ending.cut)
        self._tell(pieces, items)
        if ending.ended_by_token:
            self.emitted.append(rest[-1])
            items.append(TokenOut(self.index, rest[-1], "", ends=True))
        tokens, events = tuple(self.emitted), tuple(self.ledger.events)
        if self.ledger.live is not None:
            self.ledger.live.choose(result.branch, len(tokens))
        done = ChoiceDone(
            self.index, ending.reason, ending.stop_reason, text, tokens, events, ending.ended_by_token
        )
        items.append(done)
        return items, result

    def _tell(self, pieces: list[Piece], items: list[StreamItem]) -> None:
        for token, text in pieces:
            self.emitted.append(token)
            items.append(TokenOut(self.index, token, text))


@dataclass(eq=False)
class ActiveRequest:
    """A request from its submission to its end.

    started, ended: numbers of choices. items: what its stream is to get at the end of this tick.
    live: what happens to its texts, if it is to be told.
    """

    request: GenerationRequest
    group: RequestGroup
    stream: Stream
    spec: SequenceSpec
    reading: Reading
    choices: list[Choice] = field(default_factory=list[Choice])
    started: int = 0
    ended: int = 0
    over: bool = False
    completion_tokens: int = 0
    discarded_tokens: int = 0
    cached_tokens: int = 0
    items: list[StreamItem] = field(default_factory=list[StreamItem])
    live: LiveLog | None = None

    @cached_property
    def given(self) -> GivenText:
        """Its prompt, if that is to be read too."""
        return GivenText(self.request.prompt_ids, self.reading)

    @property
    def salt(self) -> Salt:
        """Whose texts it may take over."""
        return self.request.client, self.request.cache_salt

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.over

    @property
    def drawn_tokens(self) -> int:
        """Tokens that were computed for it so far, whatever became of them; from any thread."""
        ended = self.completion_tokens + self.discarded_tokens
        drawn = ended + sum(choice.ledger.spent for choice in list(self.choices))
        return max(drawn, self.stream.drawn_tokens)  # known before its choices go, which may be just now

    @property
    def usage(self) -> Usage:
        return Usage(
            prompt_tokens=len(self.request.prompt_ids),
            completion_tokens=self.completion_tokens,
            discarded_tokens=self.discarded_tokens,
            cached_tokens=self.cached_tokens,
        )

    def take(self) -> list[StreamItem]:
        """What there is for the stream: what happened, before what it made final."""
        items, self.items = self.items, []
        happened = () if self.live is None else self.live.take()
        if happened:
            items.insert(1 if items and isinstance(items[0], PromptScored) else 0, LiveOut(happened))
        return items
