"""A request's prompts, from the body to token ids. What is too much or too long is refused first."""

from app.api.errors import ApiError
from app.api.plan import require_choices, require_context
from app.api.prompt_reading import Prompt, TextReading, chat_prompt, read_prompt, render_chat
from app.api.schemas.prompts import GivenPrompts, count_of, each_of
from app.api.schemas.requests import ChatRequest, CompletionRequest, ScoreRequest
from app.api.serving import Serving
from app.settings import Settings

MAX_ALTERNATIVES = 100_000
"""Most alternatives of one request to /v1/score, over all its tokens: an answer of 7 MB."""


def take_completion(body: CompletionRequest, serving: Serving, settings: Settings) -> list[Prompt]:
    """The prompts of /v1/completions. For any thread; raises what `_take` does."""
    reading = TextReading(body.add_special_tokens, body.parse_special, body.skip_special_tokens)
    return _take(body.prompt, "prompt", reading, serving, settings, body.n)


def take_chat(body: ChatRequest, serving: Serving, settings: Settings) -> Prompt:
    """The prompt of /v1/chat/completions. For any thread.

    Raises:
        ApiError: it is for too many texts, the model has no chat template, or its template does not take the
            messages, or what it makes of them cannot fit the context.
    """
    require_choices("messages", 1, body.n, settings)
    rendered = render_chat(body, serving.checkpoint.tokenizer)
    require_short(rendered.text, "messages", serving)
    return chat_prompt(rendered, body, serving.checkpoint.tokenizer)


def take_texts(body: ScoreRequest, serving: Serving, settings: Settings) -> list[Prompt]:
    """The texts of /v1/score. For any thread.

    Raises:
        ApiError: what `_take` raises, or the answer would hold more alternatives than one may.
    """
    top_logprobs = body.top_logprobs
    reading = TextReading(body.add_special_tokens, body.parse_special)
    texts = _take(body.input, "input", reading, serving, settings)
    for text in texts:
        require_context(text, serving, room=0)
    tokens = sum(len(text.token_ids) for text in texts)
    if (alternatives := tokens * top_logprobs) > MAX_ALTERNATIVES:
        fewer = MAX_ALTERNATIVES // tokens
        lower = f"lower top_logprobs to {fewer} or less" if fewer else "leave top_logprobs out"
        raise ApiError(
            f"input has {tokens} tokens and top_logprobs is {top_logprobs}, which are {alternatives} "
            f"alternatives; one request takes at most {MAX_ALTERNATIVES}. Send at most "
            f"{MAX_ALTERNATIVES // top_logprobs} tokens per request, or {lower}",
            param="top_logprobs",
            code="out_of_range",
        )
    return texts


def _take(
    given: GivenPrompts,
    param: str,
    reading: TextReading,
    serving: Serving,
    settings: Settings,
    n: int = 1,
) -> list[Prompt]:
    """The prompts of a field, each for `n` texts. It may take long: for any thread.

    Raises:
        ApiError: there are too many, one cannot fit the context, or an id is no token's.
    """
    require_choices(param, count_of(given), n, settings)
    for where, each in each_of(given, param):
        require_short(each, where, serving)
    tokenizer = serving.checkpoint.tokenizer
    return [read_prompt(each, where, tokenizer, reading) for where, each in each_of(given, param)]


def require_short(given: str | list[int], param: str, serving: Serving) -> None:
    """Raise `ApiError` for what cannot fit the model's context, as can be told without a tokenizer."""
    context = serving.engine.context_length
    if isinstance(given, list):
        if len(given) > context:
            raise ApiError(
                f"{param} has {len(given)} tokens; the model's context holds {context}, so send at most "
                f"{context}",
                param=param,
                code="context_length_exceeded",
            )
        return
    longest = serving.checkpoint.tokenizer.longest_token
    if longest is not None and (size := len(given.encode())) > longest * context:
        raise ApiError(
            f"{param} has {size} bytes; the model's context holds {context} tokens of at most {longest} "
            f"bytes, so send at most {longest * context} bytes",
            param=param,
            code="context_length_exceeded",
        )
