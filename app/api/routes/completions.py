"""POST /v1/completions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api.answers import head
from app.api.body import StrictJsonRoute, size_of
from app.api.completion_answer import CompletionAnswer, scores_prompt
from app.api.deadline import seconds_left
from app.api.errors import ERROR_RESPONSES
from app.api.generation_defaults import with_recommended
from app.api.generation_streams import Generation
from app.api.intake import take_completion
from app.api.plan import Limit, plan
from app.api.rendering import TokenTexts
from app.api.reply import reply
from app.api.request_record import record_of
from app.api.schemas.requests import CompletionRequest
from app.api.schemas.responses import Completion
from app.api.service import client_of, service_of, serving_with_room
from app.api.serving import Serving
from app.api.streaming import MAY_BE_A_STREAM

router = APIRouter(route_class=StrictJsonRoute)


@router.post(
    "/v1/completions",
    tags=["generation"],
    response_model=Completion,
    responses=MAY_BE_A_STREAM | ERROR_RESPONSES,
)
async def complete(
    request: Request, body: CompletionRequest, serving: Annotated[Serving, Depends(serving_with_room)]
) -> Response:
    """Continue one or more prompts, `n` times each.

    Choices are numbered prompt by prompt. With `stream: true` the answer is a sequence of server-sent events
    of the same shape, and the last one is `[DONE]`, or an error.
    """
    service, record = service_of(request), record_of(request)
    body = with_recommended(body, serving)
    prompts = await service.off_loop.read(
        await size_of(request),
        lambda: take_completion(body, serving, service.settings),
        slow=not body.parse_special,  # the first time a second tokenizer is made
    )
    planned = plan(
        body,
        prompts,
        limit=Limit("max_tokens", body.max_tokens),
        top_logprobs=body.logprobs or 0,
        score_prompt=scores_prompt(body),
        serving=serving,
        settings=service.settings,
        client=client_of(request),
        seconds=seconds_left(request),
    )
    record.strategy = planned.strategy
    named = head("cmpl", serving, planned.requests[0].seed)
    shown = serving.engine.vocabulary if body.skip_special_tokens else serving.engine.full_vocabulary
    texts = TokenTexts(shown)
    answer = CompletionAnswer(named, body, prompts, texts, serving.checkpoint.tokenizer)
    generation = Generation.submit(serving.engine, planned.requests, service.metrics, record)
    return await reply(request, generation, answer, stream=bool(body.stream), warnings=planned.warnings)
