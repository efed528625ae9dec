"""From what a request calls its prompt to token ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.api.errors import ApiError
from app.api.schemas.requests import ChatMessage, ChatRequest
from models.chat_template import RenderedChat
from models.errors import TemplateError
from models.tokenizer import CHAT_TEMPLATE_FILE, Tokenizer


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    param: where in the body it stands. text: what `echo` repeats. warnings: what the model does not read.
    """

    param: str
    text: str
    token_ids: tuple[int, ...]
    warnings: tuple[str, ...] = ()


def read_prompts(
    given: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
    param: str,
    tokenizer: Tokenizer,
    *,
    add_special_tokens: bool = True,
) -> list[Prompt]:
    """The prompts of a field that takes a text, a list of texts, token ids, or a list of token ids.

    add_special_tokens: put around texts what the model's training put there; ids are taken as they are.

    Raises:
        ApiError: no prompt, an empty one, or a token id outside the vocabulary.
    """
    if isinstance(given, str):
        return [_of_text(given, param, tokenizer, add_special_tokens)]
    texts = [item for item in given if isinstance(item, str)]
    if texts:
        return [
            _of_text(text, f"{param}[{index}]", tokenizer, add_special_tokens)
            for index, text in enumerate(texts)
        ]
    ids = [item for item in given if isinstance(item, int)]
    if ids:
        return [_of_ids(ids, param, tokenizer)]
    lists = [item for item in given if not isinstance(item, (str, int))]
    if not lists:
        raise _empty(param, "an empty list")
    return [_of_ids(item, f"{param}[{index}]", tokenizer) for index, item in enumerate(lists)]


def render_chat(messages: Sequence[ChatMessage], tokenizer: Tokenizer) -> RenderedChat:
    """What the model's chat template makes of a chat.

    Raises:
        ApiError: the model has no template, or its template does not take the messages.
    """
    template = tokenizer.chat_template
    if template is None:
        raise ApiError(
            "the served model has no chat template, so nothing says how messages become a prompt; use POST "
            f"/v1/completions, or put a {CHAT_TEMPLATE_FILE} into the model's folder and start the server "
            "again",
            param="messages",
            code="no_chat_template",
        )
    try:
        return template.render([each.as_turn for each in messages])
    except TemplateError as error:
        raise ApiError(
            f"the model's chat template does not take these messages: {error}",
            param=_blamed(messages),
            code="chat_template_error",
        ) from error


def chat_prompt(rendered: RenderedChat, body: ChatRequest, tokenizer: Tokenizer) -> Prompt:
    """The prompt of a rendered chat; its warnings name the messages that it leaves out."""
    ids = tokenizer.encode_prompt(rendered.text, add_special_tokens=body.add_special_tokens)
    return Prompt(
        _blamed(body.messages), rendered.text, tuple(ids), tuple(_warnings(body.messages, rendered))
    )


def _blamed(messages: Sequence[ChatMessage]) -> str:
    """The field to name where a chat's prompt is at fault."""
    return "messages" if len(messages) > 1 else "messages[0].content"


def _warnings(messages: Sequence[ChatMessage], rendered: RenderedChat) -> Iterator[str]:
    for number, message in enumerate(messages):
        place = f"messages[{number}] ({message.role})"
        if number in rendered.left_out:
            yield f"{place} is not in the prompt: the model's chat template leaves it out"
        if number in rendered.changed:
            yield f"{place} is not in the prompt word for word: the model's chat template changes it"


def _of_text(text: str, param: str, tokenizer: Tokenizer, add_special_tokens: bool) -> Prompt:
    if not text:
        raise _empty(param, "an empty string")
    return Prompt(param, text, tuple(tokenizer.encode_prompt(text, add_special_tokens=add_special_tokens)))


def _of_ids(token_ids: Sequence[int], param: str, tokenizer: Tokenizer) -> Prompt:
    if not token_ids:
        raise _empty(param, "an empty list")
    for index, token_id in enumerate(token_ids):
        if not 0 <= token_id < tokenizer.vocab_size:
            raise ApiError(
                f"{param}[{index}] is {token_id}; token ids are 0 to {tokenizer.vocab_size - 1}",
                param=f"{param}[{index}]",
                code="out_of_range",
            )
    text = tokenizer.decode(token_ids, skip_special_tokens=True)
    return Prompt(param, text, tuple(token_ids))


def _empty(param: str, what: str) -> ApiError:
    return ApiError(
        f"{param} is {what}; the model needs at least one token to go on from",
        param=param,
        code="out_of_range",
    )
