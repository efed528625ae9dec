"""POST /v1/chat/completions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api.answers import head
from app.api.body import StrictJsonRoute
from app.api.chat import ChatAnswer
from app.api.errors import ERROR_RESPONSES
from app.api.generation import Generation
from app.api.plan import Limit, plan
from app.api.prompts import read_chat
from app.api.rendering import TokenTexts
from app.api.reply import reply
from app.api.schemas.requests import ChatRequest
from app.api.schemas.responses import ChatCompletion
from app.api.service import Serving, client_of, service_of, serving_of

router = APIRouter(route_class=StrictJsonRoute)


@router.post(
    "/v1/chat/completions", tags=["generation"], response_model=ChatCompletion, responses=ERROR_RESPONSES
)
async def chat(
    request: Request, body: ChatRequest, serving: Annotated[Serving, Depends(serving_of)]
) -> Response:
    """Solve the problem in a message, `n` times.

    The chat is rendered as the problem and a line break, which is how solutions begin in the corpus, and the
    assistant's message is what the model writes next. With `stream: true` the answer is a sequence of
    server-sent events, and the last one is `[DONE]`, or an error.
    """
    service = service_of(request)
    serving.require_model(body.model)
    tokenizer = serving.checkpoint.tokenizer
    requests = plan(
        body,
        [read_chat(body.messages, tokenizer)],
        limit=_limit(body),
        top_logprobs=body.top_logprobs,
        score_prompt=False,
        serving=serving,
        settings=service.settings,
        client=client_of(request),
    )
    answer = ChatAnswer(head("chatcmpl", serving, requests[0].seed), body, TokenTexts(tokenizer))
    generation = Generation.submit(serving.engine, requests, service.metrics)
    return await reply(request, generation, answer, stream=bool(body.stream))


def _limit(body: ChatRequest) -> Limit:
    if body.max_completion_tokens is not None:
        return Limit("max_completion_tokens", body.max_completion_tokens)
    return Limit("max_tokens", body.max_tokens)
