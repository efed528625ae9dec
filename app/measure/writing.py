"""Letting a model write: completions of prompts, several at a time, through the engine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest
from app.measure.asking import Answer, answer_all
from models.checkpoint import LoadedCheckpoint

AT_ONCE = 32


@dataclass(frozen=True)
class Beginning:
    """A prompt to be continued, and the seed of its draws."""

    prompt_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Continuation:
    """What a model wrote.

    A text that a stop string ended ends with it, and so do the tokens, so that its last step is whole.
    token_ids: the token that ended the text is among them. ended: the model ended it by itself.
    """

    text: str
    token_ids: tuple[int, ...]
    ended: bool


def write_all(
    loaded: LoadedCheckpoint, beginnings: Sequence[Beginning], temperature: float, stopping: StoppingParams
) -> Iterator[Continuation]:
    """A continuation of each beginning, in order; what one is does not depend on the others.

    Raises:
        ContextLengthError: a prompt fills the model's context.
    """
    if not beginnings:
        return
    longest = max(len(each.prompt_ids) for each in beginnings)
    context = min(longest + stopping.max_tokens, loaded.model.spec.context_length)
    limits = EngineLimits(max_rows=min(AT_ONCE, len(beginnings)), max_context=context)
    sampling = SamplingParams(temperature=temperature)
    with Engine(loaded, limits) as engine:

        def submit(each: Beginning) -> Stream:
            room = min(stopping.max_tokens, context - len(each.prompt_ids))
            ending = StoppingParams(max(1, room), stopping.stop)
            return engine.submit(
                GenerationRequest(each.prompt_ids, Sample(), sampling, ending, seed=each.seed)
            )

        for _, answer in answer_all(beginnings, submit, AT_ONCE):
            yield _continuation(loaded, answer)


def _continuation(loaded: LoadedCheckpoint, answer: Answer) -> Continuation:
    stop = answer.done.stop_reason if isinstance(answer.done.stop_reason, str) else ""
    ids = [token.id for token in answer.done.tokens]
    return Continuation(
        text=answer.text + stop,
        token_ids=(*ids, *(loaded.tokenizer.encode(stop) if stop else ())),
        ended=answer.done.ended_by_token,
    )
