"""What goes into the engine and what comes out of it."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from app.decoding.core.live import Happening
from app.decoding.core.types import Event, FinishReason, StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.base import Runnable
from models.language_model import LanguageModel


class TokenizerLike(Protocol):
    """The part of a tokenizer that decoding uses."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def special_ids(self) -> Set[int]: ...

    @property
    def vocabulary(self) -> Sequence[bytes]: ...

    def encode(self, text: str) -> list[int]: ...


class Served(Protocol):
    """A model with its tokenizer; `models.checkpoint.LoadedCheckpoint` is one."""

    @property
    def model(self) -> LanguageModel[Any]: ...

    @property
    def tokenizer(self) -> TokenizerLike: ...

    @property
    def card(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class EngineLimits:
    """How much the engine takes on.

    max_rows: cache slots, which is also the most sequences in one forward pass.
    max_waiting: requests, or lists of requests submitted together, that may wait to begin before further
        ones are refused.
    max_queue_seconds: how long one of them waits before it is refused after all.
    max_choices: largest `n` of a request.
    max_top_logprobs: largest `top_logprobs` of a request.
    max_prefill_tokens: prompt tokens in one forward pass; keeps long prompts from holding up
        the sequences that are being written. The engine takes fewer where these take long.
    max_context: positions per slot; None = the model's context length.
    prefix_cache_bytes: memory of keys and values up to which texts that have ended are kept, for requests
        that begin the same way; 0 = none is kept.
    """

    max_rows: int = 32
    max_waiting: int = 256
    max_queue_seconds: float = inf
    max_choices: int = 128
    max_top_logprobs: int = 20
    max_prefill_tokens: int = 4096
    max_context: int | None = None
    prefix_cache_bytes: int = 2**30


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt, to be completed `n` times.

    The text of choice i depends on (prompt, strategy, sampling, stopping, seed, i) only, never
    on what else the engine is doing.
    score_prompt: also deliver the prompt's own tokens with log-probabilities and signals.
    background: may take long; it gets what other requests leave of the engine, and waits without a limit.
    live: also deliver what happens to text that is not committed, as `LiveOut`.
    client: whose request it is, by any name; clients have equal parts of the engine.
    cache_salt: it shares the cache with requests of its client that bring the same one alone.
    timeout: seconds after which it ends with `DeadlineError`; None = it may take as long as it takes.
    skip_special_tokens: special tokens have no text; if they have one, that of a token which ends the text is
        no part of it.
    """

    prompt_ids: tuple[int, ...]
    strategy: Runnable
    sampling: SamplingParams
    stopping: StoppingParams
    n: int = 1
    seed: int = 0
    signals: tuple[str, ...] = ()
    top_logprobs: int = 0
    score_prompt: bool = False
    background: bool = False
    live: bool = False
    client: str = ""
    cache_salt: str = ""
    timeout: float | None = None
    skip_special_tokens: bool = True


@dataclass(frozen=True)
class Usage:
    """What a request cost, in tokens.

    completion_tokens: tokens of the returned sequences, the end token or the tokens of a stop
        string included: they were generated, although they are not part of the text.
    discarded_tokens: tokens that were generated and are in no returned sequence: rewound, in
        abandoned forks.
    cached_tokens: prompt tokens whose keys and values were still in the cache.
    """

    prompt_tokens: int
    completion_tokens: int
    discarded_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class PromptScored:
    """The prompt's tokens from the second on (nothing predicts the first), teacher-forced.

    Comes first, and only for `score_prompt`.
    """

    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class TokenOut:
    """A committed token of choice `index`.

    text: the text that became complete with it; may be empty while a character or a possible
        stop string is unfinished. The pieces and `ChoiceDone.text` together are the whole text.
    ends: it is the end token or a stop token that ended the text, and no part of it.
    """

    index: int
    token: Token
    text: str
    ends: bool = False


@dataclass(frozen=True, slots=True)
class ChoiceDone:
    """Choice `index` is complete.

    text: what was still held back. tokens: all of the choice's `TokenOut` tokens. Tokens that lie wholly in
        or after a stop string are not among them.
    stop_reason: the stop string, the stop token's id or the strategy's reason; None for the end
        token and for "length".
    ended_by_token: the last of `tokens` ended the text and is no part of it.
    """

    index: int
    finish_reason: FinishReason
    stop_reason: str | int | None
    text: str
    tokens: tuple[Token, ...]
    events: tuple[Event, ...]
    ended_by_token: bool = False

    @property
    def text_tokens(self) -> tuple[Token, ...]:
        """The tokens of the text, without the one that ended it."""
        return self.tokens[:-1] if self.ended_by_token else self.tokens


@dataclass(frozen=True, slots=True)
class RequestDone:
    """Every choice is complete. The last item of the stream."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ended early. The last item of the stream."""

    error: Exception


@dataclass(frozen=True, slots=True)
class LiveOut:
    """What happened to the choices' branches during a tick, in order. Only for `live`.

    Comes before the tokens that were committed in the same tick. A branch's first number is its choice's.
    """

    happenings: tuple[Happening, ...]


StreamItem = PromptScored | LiveOut | TokenOut | ChoiceDone | RequestDone | Failed


@dataclass(frozen=True)
class EngineStats:
    """Counters since the start, and gauges of this moment.

    forward_rows: logits that were asked for. shared_rows: of these, those that were computed for another row
        of the same ids in the same pass. batch_sizes: passes by the rows that were computed in them.
    cache_bytes, most_cache_bytes: of keys and values, now and if `max_rows` texts of `max_context` tokens are
        held.
    """

    rows_in_use: int = 0
    max_rows: int = 0
    max_context: int = 0
    cache_bytes: int = 0
    most_cache_bytes: int = 0
    waiting_requests: int = 0
    active_requests: int = 0
    requests_finished: int = 0
    requests_failed: int = 0
    requests_cancelled: int = 0
    requests_refused: int = 0
    requests_timed_out: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    drawn_tokens: int = 0
    discarded_tokens: int = 0
    forward_passes: int = 0
    forward_rows: int = 0
    shared_rows: int = 0
    prefill_tokens: int = 0
    scored_tokens: int = 0
    batch_sizes: Mapping[int, int] = field(default_factory=dict[int, int])


@dataclass
class Counters:
    """What happened since the start; see `EngineStats`."""

    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    drawn_tokens: int = 0
    discarded_tokens: int = 0
    forward_passes: int = 0
    forward_rows: int = 0
    shared_rows: int = 0
    prefill_tokens: int = 0
    scored_tokens: int = 0
    batch_sizes: Counter[int] = field(default_factory=Counter[int])

    def count(self, passes: int, rows: int, computed: int, prefill_tokens: int) -> None:
        """Add a tick's forward passes. computed: how many of the rows went through the model."""
        self.forward_passes += passes
        self.forward_rows += rows
        self.shared_rows += rows - computed
        self.batch_sizes[computed] += 1
        self.prefill_tokens += prefill_tokens

    def stats(self, **gauges: int) -> EngineStats:
        """What is counted here, with what others know of now, by its names in `EngineStats`."""
        return EngineStats(
            **gauges,
            requests_finished=self.finished,
            requests_failed=self.failed,
            requests_cancelled=self.cancelled,
            requests_timed_out=self.timed_out,
            prompt_tokens=self.prompt_tokens,
            cached_prompt_tokens=self.cached_prompt_tokens,
            drawn_tokens=self.drawn_tokens,
            discarded_tokens=self.discarded_tokens,
            forward_passes=self.forward_passes,
            forward_rows=self.forward_rows,
            shared_rows=self.shared_rows,
            prefill_tokens=self.prefill_tokens,
            scored_tokens=self.scored_tokens,
            batch_sizes=dict(self.batch_sizes),
        )
