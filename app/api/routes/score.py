"""POST /v1/score."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api.answers import JsonAnswer
from app.api.body import StrictJsonRoute
from app.api.errors import ERROR_RESPONSES
from app.api.generation import unless_disconnected
from app.api.plan import require_choices, require_context, timeout_of
from app.api.prompts import Prompt, read_prompts
from app.api.rendering import TokenTexts, logprob, number, signals_out
from app.api.schemas.requests import ScoreRequest
from app.api.schemas.responses import Score, ScoredToken, ScoreList, ScoreUsage
from app.api.service import Serving, client_of, service_of, serving_of
from app.decoding.types import Token

router = APIRouter(route_class=StrictJsonRoute)


@router.post("/v1/score", tags=["signals"], response_model=ScoreList, responses=ERROR_RESPONSES)
async def score(
    request: Request, body: ScoreRequest, serving: Annotated[Serving, Depends(serving_of)]
) -> Response:
    """Read given texts with the model, without writing anything.

    For every token: the log-probability that the model gave it after the tokens before it, and the signals of
    the distribution that it was chosen from.
    """
    serving.require_model(body.model)
    tokenizer = serving.checkpoint.tokenizer
    texts = read_prompts(body.input, "input", tokenizer)
    settings = service_of(request).settings
    require_choices("input", len(texts), 1, settings)
    timeout = timeout_of(body.timeout, settings)
    for text in texts:
        require_context(text, serving, room=0)
    data = await unless_disconnected(request, _score_all(texts, body, serving, client_of(request), timeout))
    used = sum(len(text.token_ids) for text in texts)
    usage = ScoreUsage(prompt_tokens=used, total_tokens=used)
    return JsonAnswer(ScoreList(model=serving.name, data=data, usage=usage))


async def _score_all(
    texts: Sequence[Prompt], body: ScoreRequest, serving: Serving, client: str, timeout: float
) -> list[Score]:
    shown = TokenTexts(serving.checkpoint.tokenizer)
    ids = [text.token_ids for text in texts]
    scored = await serving.engine.score_all_async(
        ids, body.signals, body.top_logprobs, client=client, timeout=timeout
    )
    return [
        _score(index, text, tokens, shown, alternatives=body.top_logprobs > 0)
        for index, (text, tokens) in enumerate(zip(texts, scored, strict=True))
    ]


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
