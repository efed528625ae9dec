"""A strategy driven by hand: every token comes from a function, so that a test knows all there is to know."""

from collections.abc import Callable
from dataclasses import dataclass

from app.decoding.core.commands import ForcedToken, NextToken
from app.decoding.core.sequence import Sequence
from app.decoding.core.span import SequenceSpec
from app.decoding.core.text import Ledger
from app.decoding.core.types import Event, StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.base import Runnable
from app.engine.tasks import Task, run

END = 0
VOCABULARY = [b"", *(bytes([byte]) for byte in range(1, 256))]

Writer = Callable[[Sequence, SamplingParams], Token]
"""Chooses the next token of a sequence."""


@dataclass
class Run:
    """What a strategy did: its result, and every token that was drawn for it, in order, with its position."""

    result: Sequence
    drawn: list[Token]
    places: list[int]

    @property
    def text(self) -> str:
        return self.result.text

    @property
    def events(self) -> list[Event]:
        return self.result.ledger.events

    @property
    def discarded(self) -> int:
        return self.result.ledger.spent - self.result.position


def begin(
    prompt: str = "?", max_tokens: int = 200, sampling: SamplingParams | None = None, seed: int = 0
) -> Sequence:
    return Sequence(
        SequenceSpec(
            prompt_ids=tuple(prompt.encode()),
            sampling=sampling or SamplingParams(),
            stopping=StoppingParams(max_tokens=max_tokens),
            context_length=1000,
            end_token_ids=(END,),
            vocabulary=VOCABULARY,
            encode=lambda text: list(text.encode()),
            seed=seed,
        ),
        Ledger(),
    )


def drive(strategy: Runnable, write: Writer, sequence: Sequence | None = None) -> Run:
    """Run a strategy to its end, a token for each branch at a time, as the engine does."""
    task = Task(strategy.decode(sequence or begin()))
    drawn: list[Token] = []
    places: list[int] = []
    committed: list[int] = []
    waiting = run(task)
    while waiting:
        resumed: list[Task] = []
        for each in waiting:
            request = each.request
            if isinstance(request, ForcedToken):
                token = Token(request.token_id, -20.0, {}, forced=True)
            else:
                assert isinstance(request, NextToken)
                assert isinstance(request.sampling, SamplingParams)
                assert isinstance(request.sequence, Sequence)
                token = write(request.sequence, request.sampling)
                drawn.append(token)
                places.append(request.sequence.position)
            request.sequence.pending = False
            request.sequence.accept(token)
            resumed += run(each, token)
            ledger = request.sequence.ledger
            if ledger.output is not None:
                ids = [token.id for token in ledger.output.tokens[: ledger.committed]]
                assert ids[: len(committed)] == committed, "committed text was taken back"
                committed = ids
        waiting = resumed
    if task.error is not None:
        raise task.error
    assert task.done
    result: Sequence = task.result
    assert [token.id for token in result.tokens][: len(committed)] == committed
    return Run(result, drawn, places)


def attempts(*steps: list[tuple[str, float]], signal: str = "doubt", at: str = ".") -> Writer:
    """Writes a step's first text, its second when it is written again, and so on, the last one over and over;
    then ends. Each comes with the value of the signal at its tokens `at`. Steps end with full stops."""
    begun = [-1] * len(steps)

    def write(sequence: Sequence, _: SamplingParams) -> Token:
        step = sequence.text.count(".")
        if step == len(steps):
            return Token(END, -1.0, {})
        written = sequence.text.rpartition(".")[2]
        if not written:
            begun[step] += 1
        text, value = steps[step][min(begun[step], len(steps[step]) - 1)]
        character = text[len(written)]
        return Token(ord(character), -1.0, {signal: value} if character == at else {})

    return write
