"""From a validated body to what the engine is asked for, which checks what depends on the model."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.errors import ApiError
from app.api.prompt_reading import Prompt
from app.api.schemas.generation import GenerationFields
from app.api.service import new_seed
from app.api.serving import Serving
from app.decoding.core.types import StoppingParams
from app.decoding.strategies import Greedy, Sample
from app.decoding.strategies.base import kind_of
from app.engine.types import GenerationRequest
from app.settings import Settings


@dataclass(frozen=True)
class Limit:
    """The most tokens that a request asks for, and the field that says so."""

    param: str
    tokens: int | None


@dataclass(frozen=True)
class Plan:
    """What the engine is asked for, by what kind of strategy, and what the client should know of it."""

    requests: list[GenerationRequest]
    strategy: str
    warnings: tuple[str, ...]


def plan(
    body: GenerationFields,
    prompts: Sequence[Prompt],
    *,
    limit: Limit,
    top_logprobs: int,
    score_prompt: bool,
    serving: Serving,
    settings: Settings,
    client: str,
    seconds: float,
) -> Plan:
    """One engine request per prompt, all with the same seed. seconds: that they may take.

    Raises:
        ApiError: a value that this model or this server does not allow.
        ParameterError: fields that do not go together.
    """
    sampling = body.sampling
    strategy = body.strategy or (Greedy() if sampling.temperature == 0 else Sample())
    seed = new_seed() if body.seed is None else body.seed
    rooms = [_room(prompt, limit, serving) for prompt in prompts]
    requests = [
        GenerationRequest(
            prompt_ids=prompt.token_ids,
            strategy=strategy,
            sampling=sampling,
            stopping=StoppingParams(
                max_tokens=min(room, settings.default_max_tokens if limit.tokens is None else limit.tokens),
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
            client=client,
            cache_salt=body.cache_salt or "",
            timeout=seconds,
            skip_special_tokens=body.skip_special_tokens,
        )
        for prompt, room in zip(prompts, rooms, strict=True)
    ]
    unread = (warning for prompt in prompts for warning in prompt.warnings)
    return Plan(
        requests, kind_of(type(strategy)), (*strategy.warnings, *unread, *_warnings(limit, rooms, serving))
    )


def require_choices(param: str, prompts: int, n: int, settings: Settings) -> None:
    """Raise `ApiError` if a request asks for more texts than one may, whatever the load.

    param: the field with the prompts.
    """
    most = settings.max_request_choices
    if prompts * n <= most:
        return
    asked = f"{param} holds {prompts} prompts"
    if n > 1:
        asked = f"n is {n} and {asked}, which makes {prompts * n} choices" if prompts > 1 else f"n is {n}"
    raise ApiError(
        f"{asked}; this server takes at most {most} per request (DEMUR_MAX_REQUEST_CHOICES). Ask for fewer, "
        "or send several requests",
        param="n" if n > 1 else param,
        code="out_of_range",
    )


def require_context(prompt: Prompt, serving: Serving, room: int) -> None:
    """Raise `ApiError` unless the prompt leaves `room` tokens of the model's context free."""
    context = serving.engine.context_length
    if len(prompt.token_ids) + room > context:
        raise ApiError(
            f"{prompt.param} has {len(prompt.token_ids)} tokens; the model's context holds {context}, "
            f"so send at most {context - room}",
            param=prompt.param,
            code="context_length_exceeded",
        )


def _room(prompt: Prompt, limit: Limit, serving: Serving) -> int:
    """Tokens that the context holds after the prompt; there is one at least, unless none is asked for."""
    require_context(prompt, serving, room=0 if limit.tokens == 0 else 1)
    return serving.engine.context_length - len(prompt.token_ids)


def _warnings(limit: Limit, rooms: Sequence[int], serving: Serving) -> tuple[str, ...]:
    """Says so if some completion may have fewer tokens than it asks for. Clients ask for what they are made
    with, LangChain for 256, whatever the context."""
    if limit.tokens is None or limit.tokens <= min(rooms):
        return ()
    context = serving.engine.context_length
    begins = f"{limit.param} is {limit.tokens}, but the model's context of {context} holds"
    if len(rooms) == 1:
        return (f"{begins} {rooms[0]} more tokens after the prompt; at most so many are written",)
    short = sum(room < limit.tokens for room in rooms)
    return (
        f"{begins} fewer after {short} of the {len(rooms)} prompts, {min(rooms)} after the longest; at most "
        "so many are written",
    )
