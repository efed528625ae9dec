"""From a validated body to what the engine is asked for, which checks what depends on the model."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.errors import ApiError
from app.api.prompts import Prompt
from app.api.schemas.generation import GenerationFields
from app.api.service import Serving, new_seed
from app.decoding.strategies import GreedyParams, SampleParams
from app.decoding.types import StoppingParams
from app.engine.types import GenerationRequest
from app.settings import Settings


@dataclass(frozen=True)
class Limit:
    """The most tokens that a request asks for, and the field that says so."""

    param: str
    tokens: int | None


def plan(
    body: GenerationFields,
    prompts: Sequence[Prompt],
    *,
    limit: Limit,
    top_logprobs: int,
    score_prompt: bool,
    serving: Serving,
    settings: Settings,
) -> list[GenerationRequest]:
    """One engine request per prompt, all with the same seed.

    Raises:
        ApiError: a value that this model or this server does not allow.
        ParameterError: fields that do not go together.
    """
    require_prompts("prompt", len(prompts), settings)
    sampling = body.sampling
    params = body.strategy or (GreedyParams() if body.temperature == 0 else SampleParams())
    seed = new_seed() if body.seed is None else body.seed
    return [
        GenerationRequest(
            prompt_ids=prompt.token_ids,
            strategy=params.build(),
            sampling=sampling,
            stopping=StoppingParams(
                max_tokens=_max_tokens(prompt, limit, serving, settings),
                stop=body.stops,
                stop_token_ids=tuple(body.stop_token_ids),
                ignore_eos=body.ignore_eos,
            ),
            n=body.n,
            seed=seed,
            signals=tuple(body.signals),
            top_logprobs=top_logprobs,
            score_prompt=score_prompt,
            live=body.live,
        )
        for prompt in prompts
    ]


def require_prompts(param: str, prompts: int, settings: Settings) -> None:
    """Raise `ApiError` if there are more prompts than could ever be taken, whatever the load."""
    if prompts > settings.max_waiting:
        raise ApiError(
            f"{param} holds {prompts} prompts; this server takes at most {settings.max_waiting} per request",
            param=param,
            code="invalid_value",
        )


def require_context(prompt: Prompt, serving: Serving, room: int) -> None:
    """Raise `ApiError` unless the prompt leaves `room` tokens of the model's context free."""
    context = serving.checkpoint.model.spec.context_length
    if len(prompt.token_ids) + room > context:
        raise ApiError(
            f"{prompt.param} has {len(prompt.token_ids)} tokens; the model's context holds {context}, "
            f"so send at most {context - room}",
            param=prompt.param,
            code="context_length_exceeded",
        )


def _max_tokens(prompt: Prompt, limit: Limit, serving: Serving, settings: Settings) -> int:
    require_context(prompt, serving, room=0 if limit.tokens == 0 else 1)
    used = len(prompt.token_ids)
    context = serving.checkpoint.model.spec.context_length
    left = context - used
    if limit.tokens is None:
        return min(left, settings.default_max_tokens)
    if limit.tokens > left:
        raise ApiError(
            f"{limit.param} is {limit.tokens}, but after the prompt's {used} tokens the model's context of "
            f"{context} holds {left} more; ask for at most that, or leave {limit.param} out",
            param=limit.param,
            code="context_length_exceeded",
        )
    return limit.tokens
