"""Where a probe reads: a rule about tokens, the same for fitting and for serving.

A completion is a row of steps, each up to and with a token that closes it. A closing token that stands
alone, as a line break before an answer may, is no step, so that it makes no difference whether the prompt
ends with the line break or the completion begins with it.

A probe's score belongs to a token of a step and is read from the hidden state that predicted this token, so
from all that stands before it: the same convention as for entropy. What the rule calls `read` is the number
of the step's tokens that the model had seen.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from models.language_model import EndTokens, end_token_ids
from models.tokenizer import Tokenizer
from probes.errors import LabelsError, ProbeFileError

At = Literal["prompt", "read", "marker", "close", "every"]


@dataclass(frozen=True)
class Position:
    """A reading position.

    Attributes:
        name: what people call it.
        at: `prompt`: the first token of the first step, so the state at the end of the question; `read`:
            the token of each step before which `read` tokens of it were seen (0: before the step starts);
            `marker`: the first of the step's tokens that is among `markers`, or else the closing one;
            `close`: the token that closes the step; `every`: each token.
        closing: ids of the tokens that close a step. At one that stands alone only `every` reads.
    """

    name: str
    at: At
    closing: tuple[int, ...]
    read: int = 0
    markers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.read < 0 or (self.at == "marker") != bool(self.markers):
            raise ProbeFileError(
                f"position {self.name!r}: read is {self.read}, markers are {list(self.markers)}; read is 0 "
                "or more, and markers are given for a position at a marker and for no other"
            )

    def is_read(self, step: Sequence[int], token_id: int, number: int) -> bool:
        """Whether a score belongs to this token.

        Args:
            step: the tokens of the same step before it.
            number: how many steps come before that one.
        """
        if not step and token_id in self.closing and self.at != "every":
            return False
        match self.at:
            case "prompt":
                return not step and number == 0
            case "read":
                return len(step) == self.read
            case "marker":
                if token_id in self.markers or token_id in self.closing:
                    return not any(earlier in self.markers for earlier in step)
                return False
            case "close":
                return token_id in self.closing
            case "every":
                return True


def split_steps(token_ids: Sequence[int], closing: Collection[int]) -> Iterator[tuple[int, range]]:
    """A completion's steps, as how many come before each and its token indices; then what is left after the
    last closing token. A closing token that stands alone comes too, with the number of the step behind it."""
    number = start = 0
    for index, token_id in enumerate(token_ids):
        if token_id in closing:
            yield number, range(start, index + 1)
            number += index > start
            start = index + 1
    if start < len(token_ids):
        yield number, range(start, len(token_ids))


def standard_positions(
    tokenizer: Tokenizer, step_ends: Collection[str], markers: Collection[str], ends: EndTokens
) -> dict[str, Position]:
    """The positions that are tried for every probe, by name.

    `question`: the end of the question, before a word is written. `start`: before a step. `name`: after its
    first token. `middle`: at the marker, where there is one. `end`: all of the step is written but the token
    that closes it.

    Args:
        step_ends: a token whose text ends with one of these, spaces behind it apart, closes a step.
        markers: texts that are one token each, such as an equals sign.
        ends: tokens that end a text, and with it the step.

    Raises:
        SpecError: a marker is not one token.
        LabelsError: no token closes a step.
    """
    endings = tuple(step_ends)
    texts = {
        id_: tokenizer.token_bytes(id_).decode("utf-8", "replace") for id_ in range(tokenizer.vocab_size)
    }
    closing = tuple(
        id_ for id_, text in texts.items() if text.endswith(endings) or text.rstrip(" ").endswith(endings)
    )
    if not closing:
        raise LabelsError(
            f"no token of the model ends with {' or '.join(map(repr, endings))}; give another end of a step"
        )
    closing += tuple(
        id_ for id_ in end_token_ids(ends, vocab_size=tokenizer.vocab_size) if id_ not in closing
    )
    positions = [
        Position("question", "prompt", closing),
        Position("start", "read", closing),
        Position("name", "read", closing, read=1),
        Position("end", "close", closing),
    ]
    if markers:
        ids = tuple(tokenizer.phrase_id(marker) for marker in markers)
        positions.insert(3, Position("middle", "marker", closing, markers=ids))
    return {position.name: position for position in positions}
