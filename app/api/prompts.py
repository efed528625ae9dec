"""From what a request calls its prompt to token ids."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.errors import ApiError
from app.api.schemas.requests import UserMessage
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prompt:
    """One prompt. `param` is where in the body it stands, `text` what `echo` repeats."""

    param: str
    text: str
    token_ids: tuple[int, ...]


def read_prompts(
    given: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]], param: str, tokenizer: Tokenizer
) -> list[Prompt]:
    """The prompts of a field that takes a text, a list of texts, token ids, or a list of token ids.

    Raises:
        ApiError: no prompt, an empty one, or a token id outside the vocabulary.
    """
    if isinstance(given, str):
        return [_of_text(given, param, tokenizer)]
    texts = [item for item in given if isinstance(item, str)]
    if texts:
        return [_of_text(text, f"{param}[{index}]", tokenizer) for index, text in enumerate(texts)]
    ids = [item for item in given if isinstance(item, int)]
    if ids:
        return [_of_ids(ids, param, tokenizer)]
    lists = [item for item in given if not isinstance(item, (str, int))]
    if not lists:
        raise _empty(param, "an empty list")
    return [_of_ids(item, f"{param}[{index}]", tokenizer) for index, item in enumerate(lists)]


def read_chat(messages: Sequence[UserMessage], tokenizer: Tokenizer) -> Prompt:
    """The prompt of a chat: its one problem and the line break that separates it from the solution.

    Line breaks and blanks after the problem are dropped: in the corpus the question is the end of the line.

    Raises:
        ApiError: the message is empty.
    """
    param = "messages[0].content"
    problem = messages[0].text.rstrip()
    if not problem:
        raise _empty(param, "empty")
    return _of_text(problem + "\n", param, tokenizer)


def _of_text(text: str, param: str, tokenizer: Tokenizer) -> Prompt:
    if not text:
        raise _empty(param, "an empty string")
    return Prompt(param, text, tuple(tokenizer.encode(text)))


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
    return Prompt(param, tokenizer.decode(token_ids), tuple(token_ids))


def _empty(param: str, what: str) -> ApiError:
    return ApiError(
        f"{param} is {what}; the model needs at least one token to go on from",
        param=param,
        code="out_of_range",
    )
