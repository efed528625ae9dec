"""A real, tiny, random GPT-2 behind the engine, and the shortest way to ask it for something."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Event, StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.engine.types import (
    ChoiceDone,
    EngineLimits,
    Failed,
    GenerationRequest,
    RequestDone,
    StreamItem,
    TokenOut,
    Usage,
)
from models.decoder import Decoder
from models.gpt2 import GPT2, GPT2Config
from models.language_model import LanguageModel

END = 0
CONTEXT = 64
# Single bytes, so that characters of several bytes come in pieces, and some longer tokens.
VOCABULARY = [b"<end>", *(bytes([byte]) for byte in range(1, 256)), b"the", " né".encode(), b"ab", b"bc"]


@dataclass(frozen=True)
class ByteTokenizer:
    """Looks ids up in a vocabulary."""

    vocabulary: tuple[bytes, ...] = tuple(VOCABULARY)
    special_ids: frozenset[int] = frozenset({END})

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


@dataclass(frozen=True)
class TinyCheckpoint:
    """What the engine is given."""

    model: LanguageModel[Any]
    tokenizer: ByteTokenizer = field(default_factory=ByteTokenizer)
    card: Mapping[str, Any] = field(default_factory=dict[str, Any])


@cache
def tiny_network() -> GPT2:
    """Two layers, random weights of a size that leaves several tokens likely.

    Blocks outweigh the embedding, so that what comes next depends on all that came before, and a
    wrong entry in a cache shows.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = GPT2(GPT2Config(len(VOCABULARY), CONTEXT, d_model=32, n_layers=2, n_heads=2))
        with torch.no_grad():
            network.token_embedding.weight.mul_(0.5)
            for name, weight in network.named_parameters():
                if name.startswith("blocks") and weight.ndim == 2:
                    weight.mul_(4.0)
    return network.eval()


@cache
def tiny_model() -> Decoder:
    """`tiny_network`, computed by torch."""
    return Decoder(tiny_network(), "tiny", END)


def tiny_engine(model: LanguageModel[Any] | None = None, **limits: Any) -> Engine:
    return Engine(TinyCheckpoint(model or tiny_model()), EngineLimits(**limits))


def ask(
    prompt: Iterable[int] = (3, 1, 4, 1, 5),
    strategy: Runnable | None = None,
    sampling: SamplingParams | None = None,
    max_tokens: int = 12,
    stop: tuple[str, ...] = (),
    stop_token_ids: tuple[int, ...] = (),
    ignore_eos: bool = True,
    **rest: Any,
) -> GenerationRequest:
    return GenerationRequest(
        prompt_ids=tuple(prompt),
        strategy=strategy or Sample(),
        sampling=sampling or SamplingParams(),
        stopping=StoppingParams(max_tokens, stop, stop_token_ids, ignore_eos),
        **rest,
    )


@dataclass
class Answer:
    """A choice, put together from the items of a stream."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list[Token])
    done: ChoiceDone | None = None

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.tokens]

    @property
    def events(self) -> tuple[Event, ...]:
        assert self.done is not None
        return self.done.events


@dataclass
class Result:
    """A whole stream."""

    choices: dict[int, Answer] = field(default_factory=dict[int, Answer])
    usage: Usage | None = None
    error: Exception | None = None

    @property
    def only(self) -> Answer:
        assert self.error is None, self.error
        (answer,) = self.choices.values()
        return answer


def collect(items: Iterable[StreamItem]) -> Result:
    """Put a stream together; checks that its end is where an end belongs."""
    result = Result()
    for item in items:
        assert result.usage is None
        assert result.error is None
        match item:
            case TokenOut(index=index, token=token, text=text):
                answer = result.choices.setdefault(index, Answer())
                assert answer.done is None
                answer.tokens.append(token)
                answer.text += text
            case ChoiceDone(index=index, text=text, tokens=tokens):
                answer = result.choices.setdefault(index, Answer())
                answer.text += text
                answer.done = item
                assert list(tokens) == answer.tokens
            case RequestDone(usage=usage):
                result.usage = usage
            case Failed(error=error):
                result.error = error
            case _:
                pass
    return result


def fresh_logprobs(ids: list[int]) -> torch.Tensor:
    """(V,) log-probabilities after `ids`, from a prefill of a new cache."""
    return tiny_model().score(ids).logits[-1].log_softmax(-1)


class Wanderer:
    """A strategy that does everything a strategy can do, differently in every place."""

    needs: frozenset[str] = frozenset({"entropy"})

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.extend(max_tokens=3)
        if sequence.finished:
            return sequence
        if sequence.tokens[-1].signals["entropy"] > 1.0:
            sequence.rewind(1, "uncertain")
        left, right = sequence.fork(2)
        spans = await gather(left.extend(max_tokens=2), right.extend(max_tokens=4))
        best = left if spans[0].last.logprob > spans[1].last.logprob else right
        if not best.finished:
            await best.force([65, 66])
        await best.extend(max_tokens=6)
        return best
