"""POST /v1/score."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api.answers import JsonAnswer
from app.api.body import StrictJsonRoute, size_of
from app.api.deadline import seconds_left
from app.api.errors import ERROR_RESPONSES
from app.api.generation_streams import unless_disconnected
from app.api.intake import take_texts
from app.api.pieces import json_of
from app.api.prompt_reading import Prompt
from app.api.rendering import TokenTexts, logprob, number, signals_out, weight_of
from app.api.request_record import record_of
from app.api.schemas.requests import ScoreRequest
from app.api.schemas.responses import Score, ScoredToken, ScoreList, ScoreUsage
from app.api.service import client_of, service_of, serving_with_room
from app.api.serving import Serving
from app.decoding.core.types import Token
from app.errors import EngineStoppedError, OverloadedError, RequestError

router = APIRouter(route_class=StrictJsonRoute)


@router.post("/v1/score", tags=["signals"], response_model=ScoreList, responses=ERROR_RESPONSES)
async def score(
    request: Request, body: ScoreRequest, serving: Annotated[Serving, Depends(serving_with_room)]
) -> Response:
    """Read given texts with the model, without writing anything.

    For every token: the log-probability that the model gave it after the tokens before it, and the signals of
    the distribution that it was chosen from.
    """
    service, record = service_of(request), record_of(request)
    texts = await service.off_loop.read(
        await size_of(request),
        lambda: take_texts(body, serving, service.settings),
        slow=not body.parse_special,  # the first time a second tokenizer is made
    )
    # They are read however the request ends, unless the engine does not take them.
    used = record.prompt_tokens = sum(len(text.token_ids) for text in texts)
    try:
        scored = await unless_disconnected(
            request,
            serving.engine.score_all_async(
                [text.token_ids for text in texts],
                body.signals,
                body.top_logprobs,
                client=client_of(request),
                timeout=seconds_left(request),
            ),
        )
    except (RequestError, OverloadedError, EngineStoppedError):
        record.prompt_tokens = 0
        raise
    shown = TokenTexts(serving.engine.vocabulary)
    # Each as JSON, which takes a tenth of the memory.
    scores = [
        await service.off_loop.write(
            weight_of(tokens),
            partial(_json_of_score, index, text, tokens, shown, alternatives=body.top_logprobs > 0),
        )
        for index, (text, tokens) in enumerate(zip(texts, scored, strict=True))
    ]
    usage = ScoreUsage(prompt_tokens=used, total_tokens=used)
    answer = json_of(ScoreList(model=serving.name, data=[], usage=usage))
    return JsonAnswer(answer.replace(b'"data":[]', b'"data":[' + b",".join(scores) + b"]", 1))


def _json_of_score(
    index: int, text: Prompt, tokens: list[Token], shown: TokenTexts, *, alternatives: bool
) -> bytes:
    return json_of(_score(index, text, tokens, shown, alternatives=alternatives))


def _score(index: int, text: Prompt, tokens: list[Token], shown: TokenTexts, *, alternatives: bool) -> Score:
    first = ScoredToken(token=shown.text(text.token_ids[0]), token_id=text.token_ids[0], logprob=None)
    rest = [
        ScoredToken.model_validate(
            {"token": shown.text(token.id), "token_id": token.id, "logprob": logprob(token.logprob)}
            | ({"top_logprobs": shown.top(token)} if alternatives else {})
            | signals_out(token)
        )
        for token in tokens
    ]
    return Score(
        index=index, logprob=number(sum(logprob(token.logprob) for token in tokens)), tokens=[first, *rest]
    )
