"""POST /v1/chat/completions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api.answers import head
from app.api.body import StrictJsonRoute, size_of
from app.api.chat_answer import ChatAnswer
from app.api.deadline import seconds_left
from app.api.errors import ERROR_RESPONSES
from app.api.generation_defaults import with_recommended
from app.api.generation_streams import Generation
from app.api.intake import take_chat
from app.api.plan import Limit, plan
from app.api.rendering import TokenTexts
from app.api.reply import reply
from app.api.request_record import record_of
from app.api.schemas.requests import ChatRequest
from app.api.schemas.responses import ChatCompletion
from app.api.service import client_of, service_of, serving_with_room
from app.api.serving import Serving
from app.api.streaming import MAY_BE_A_STREAM

router = APIRouter(route_class=StrictJsonRoute)


@router.post(
    "/v1/chat/completions",
    tags=["generation"],
    response_model=ChatCompletion,
    responses=MAY_BE_A_STREAM | ERROR_RESPONSES,
)
async def chat(
    request: Request, body: ChatRequest, serving: Annotated[Serving, Depends(serving_with_room)]
) -> Response:
    """Answer a chat, `n` times.

    The model's chat template makes a prompt of the messages, and the assistant's message is what the model
    writes next. The embedded model reads one problem: its template takes the last message of the user, and
    `warnings` name what it leaves out. With `stream: true` the answer is a sequence of server-sent events,
    and the last one is `[DONE]`, or an error.
    """
    service, record = service_of(request), record_of(request)
    body = with_recommended(body, serving)
    prompt = await service.off_loop.read(
        await size_of(request), lambda: take_chat(body, serving, service.settings)
    )
    planned = plan(
        body,
        [prompt],
        limit=_limit(body),
        top_logprobs=body.top_logprobs,
        score_prompt=False,
        serving=serving,
        settings=service.settings,
        client=client_of(request),
        seconds=seconds_left(request),
    )
    record.strategy = planned.strategy
    named = head("chatcmpl", serving, planned.requests[0].seed)
    shown = serving.engine.vocabulary if body.skip_special_tokens else serving.engine.full_vocabulary
    answer = ChatAnswer(named, body, TokenTexts(shown))
    generation = Generation.submit(serving.engine, planned.requests, service.metrics, record)
    return await reply(request, generation, answer, stream=bool(body.stream), warnings=planned.warnings)


def _limit(body: ChatRequest) -> Limit:
    if body.max_completion_tokens is not None:
        return Limit("max_completion_tokens", body.max_completion_tokens)
    return Limit("max_tokens", body.max_tokens)
