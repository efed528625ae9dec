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


@dataclass(frozen=True)
class TextReading:
    """How special tokens of prompts are read.

    Attributes:
        add: put around a text what the model's training put there; ids are taken as they are.
        parse: take the names of special tokens in a text for these.
        skip: of ids, leave special tokens out of the text that they stand for.
    """

    add: bool = True
    parse: bool = True
    skip: bool = True


def read_prompt(given: str | Sequence[int], param: str, tokenizer: Tokenizer, reading: TextReading) -> Prompt:
    """The prompt that a text or token ids are; `param` is where in the body it stands.

    Raises:
        ApiError: a token id is outside the vocabulary.
    """
    if isinstance(given, str):
        ids = tokenizer.encode_prompt(given, add_special_tokens=reading.add, parse_special=reading.parse)
        return Prompt(param, given, tuple(ids))
    for index, token_id in enumerate(given):
        if not 0 <= token_id < tokenizer.vocab_size:
            raise ApiError(
                f"{param}[{index}] is {token_id}; token ids are 0 to {tokenizer.vocab_size - 1}",
                param=f"{param}[{index}]",
                code="out_of_range",
            )
    return Prompt(param, tokenizer.decode(given, skip_special_tokens=reading.skip), tuple(given))


def render_chat(body: ChatRequest, tokenizer: Tokenizer) -> RenderedChat:
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
        return template.render([each.as_turn for each in body.messages], body.prompt_end)
    except TemplateError as error:
        raise ApiError(
            f"the model's chat template does not take these messages: {error}",
            param=_blamed(body.messages),
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
