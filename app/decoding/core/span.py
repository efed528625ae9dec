"""What the sequences of one choice share, and pieces of their text."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.types import StoppingParams, Token
from app.decoding.sampling.history import History
from app.decoding.sampling.params import SamplingParams
from app.errors import StrategyError
from models.corpora.corpus import Corpus


@dataclass(frozen=True)
class SequenceSpec:
    """What all sequences of one choice share.

    context_length: most tokens of prompt and completion together.
    vocabulary: the bytes of every token id; empty for tokens without text.
    encode: the token ids of a text.
    calibration: what is typical of the model, where it was measured; thresholds that a request leaves out.
    corpus: what the model was trained on, where its card says so.
    """

    prompt_ids: tuple[int, ...]
    sampling: SamplingParams
    stopping: StoppingParams
    context_length: int
    end_token_ids: tuple[int, ...]
    vocabulary: Sequence[bytes]
    encode: Callable[[str], Sequence[int]]
    seed: int = 0
    calibration: SignalCalibration | None = field(default=None, repr=False)
    corpus: Corpus | None = None

    @cached_property
    def stops(self) -> tuple[int, ...]:
        """The tokens that end a text."""
        ends = () if self.stopping.ignore_eos else self.end_token_ids
        return (*ends, *self.stopping.stop_token_ids)

    @property
    def prompt(self) -> str:
        """The prompt's text."""
        return b"".join(self.vocabulary[token_id] for token_id in self.prompt_ids).decode(errors="replace")

    def history(self, ids: Sequence[int]) -> History:
        """What samplers see of the ids of prompt and completion."""
        return History(self.prompt_ids, ids[len(self.prompt_ids) :], self.vocabulary)

    def text(self, tokens: Iterable[Token]) -> str:
        """The tokens' text; bytes that are no valid UTF-8 read as U+FFFD."""
        return b"".join(self.vocabulary[token.id] for token in tokens).decode(errors="replace")


@dataclass(frozen=True)
class Span:
    """Consecutive tokens as they stood when the span was taken; a later rewind leaves it alone."""

    start: int
    tokens: tuple[Token, ...]
    spec: SequenceSpec = field(repr=False)

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    @property
    def last(self) -> Token:
        """The last token. Raises `StrategyError` if the span is empty."""
        if not self.tokens:
            raise StrategyError(
                f"The span at position {self.start} is empty and has no last token; "
                "look at `sequence.finished` before extending it."
            )
        return self.tokens[-1]

    @property
    def text(self) -> str:
        return self.spec.text(self.tokens)


Until = Callable[[Span], bool]
"""Says of the span written so far, after each token, whether it is complete."""


def text_ends_with(*endings: str) -> Until:
    """Complete when the text ends with one of `endings`."""
    return lambda span: span.text.endswith(endings)
