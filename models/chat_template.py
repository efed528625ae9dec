"""From a chat to the text of its prompt, by the template that the model was trained with.

Templates are Jinja, rendered in a sandbox as transformers does: no files, no attributes of Python's own,
nothing that changes what it was given. Nothing bounds the time that one takes: like the weights beside it, it
is the choice of whoever put it into the folder.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from jinja2 import TemplateSyntaxError

from models.chat_jinja import compiled
from models.errors import ArtifactError, TemplateError

_MARK = "d7m4r9k{}z"
"""Stands in a message to see whether the message stands in the prompt; no word, and nothing to a template."""


_OPEN = "q3w8n5{}v "
"""Stands at the end of a message to be continued; where its space is gone, the template trims messages."""

PromptEnd = Literal["new_turn", "last_turn", "open_turn"]
"""Where a prompt ends: where the assistant's next turn begins, with the end of the last message's turn, or
with the last message itself, which the model goes on writing."""


@dataclass(frozen=True)
class Message:
    """A turn of a chat. parts: its text, in one part or several. name: of who speaks, where there is one."""

    role: str
    parts: tuple[str, ...]
    name: str | None = None

    @property
    def is_blank(self) -> bool:
        """Nothing is said."""
        return not "".join(self.parts).strip()


@dataclass(frozen=True)
class RenderedChat:
    """The text of a prompt.

    Attributes:
        left_out: numbers of the messages that have no part in it.
        changed: of those that are in it, but not word for word.
    """

    text: str
    left_out: tuple[int, ...]
    changed: tuple[int, ...]


@dataclass(frozen=True)
class ChatTemplate:
    """A model's chat template.

    Attributes:
        source: the Jinja.
        special_tokens: what it may name, such as `bos_token`.
    """

    source: str
    special_tokens: Mapping[str, str] = field(default_factory=dict[str, str])

    def check(self) -> None:
        """Read the template.

        Raises:
            ArtifactError: it is not Jinja.
        """
        try:
            compiled(self.source)
        except TemplateSyntaxError as error:
            raise ArtifactError(f"the chat template is no Jinja: line {error.lineno}: {error}") from error

    def render(self, messages: Sequence[Message], end: PromptEnd = "new_turn") -> RenderedChat:
        """The prompt of a chat.

        Raises:
            TemplateError: the template refuses the messages, or stumbles over them; or the last of them is to
                be left open and is not in the prompt.
        """
        text = self._render(messages, end)
        said = [number for number, each in enumerate(messages) if not each.is_blank]
        shown = self._shown(messages, end)
        return RenderedChat(
            text,
            left_out=tuple(number for number in said if number not in shown),
            changed=tuple(
                number
                for number in said
                if number in shown and any(part.strip() not in text for part in messages[number].parts)
            ),
        )

    def _shown(self, messages: Sequence[Message], end: PromptEnd) -> Set[int]:
        """Which messages stand in the prompt, by a mark at the end of each: their words may stand there in
        another's, or in the template itself."""
        marks = [_MARK.format(number) for number in range(len(messages))]
        marked = [
            replace(each, parts=(*each.parts[:-1], each.parts[-1] + mark)) if each.parts else each
            for each, mark in zip(messages, marks, strict=True)
        ]
        try:
            text = self._render(marked, end)
        except TemplateError:  # it looks at the words; what it says of these says nothing of the others
            return set(range(len(messages)))
        return {number for number, mark in enumerate(marks) if mark in text}

    def _render(self, messages: Sequence[Message], end: PromptEnd) -> str:
        try:
            return self._run([self._given(each) for each in messages], end)
        except Exception as error:  # the template's own, or Python's where it does what cannot be done
            raise TemplateError(str(error) or type(error).__name__) from error

    def _run(self, messages: list[dict[str, Any]], end: PromptEnd = "new_turn") -> str:
        names: dict[str, Any] = {
            "messages": messages,
            "tools": None,
            "documents": None,
            "add_generation_prompt": end == "new_turn",
            **self.special_tokens,
        }
        render = compiled(self.source)
        if end != "open_turn":
            return render(**names)
        said = messages[-1]["content"]
        last = said if isinstance(said, str) else said[-1]["text"]
        marked = last + _OPEN
        content = marked if isinstance(said, str) else [*said[:-1], {**said[-1], "text": marked}]
        text = render(**names | {"messages": [*messages[:-1], {**messages[-1], "content": content}]})
        before, found, _ = text.rpartition(_OPEN.rstrip())
        if not found or last.strip() not in text:
            raise TemplateError("the last message is not in the prompt, so it cannot be continued")
        # A template that trims a message has trimmed the mark, and would trim the message without it.
        trimmed = not text.startswith(_OPEN, len(before))
        return before.replace(_OPEN, "").rstrip() if trimmed else before.replace(_OPEN, "")

    def _given(self, message: Message) -> dict[str, Any]:
        """A message in the form that the template reads."""
        strings, parts = self._forms
        content: Any = "".join(message.parts)
        if parts and (len(message.parts) > 1 or not strings):
            content = [{"type": "text", "text": part} for part in message.parts]
        # Few models were told what a developer is; to all others he is what the system was before.
        known = message.role != "developer" or "developer" in self.source
        named = {} if message.name is None else {"name": message.name}
        return {"role": message.role if known else "system", "content": content} | named

    @cached_property
    def _forms(self) -> tuple[bool, bool]:
        """Whether the template reads content that is a string, and content that is a list of parts."""
        of_string = self._trial(_MARK)
        of_parts = self._trial([{"type": "text", "text": _MARK}])
        if _MARK in of_string:
            return True, of_parts == of_string  # a list that is written out as Python would is not read
        return _MARK not in of_parts, _MARK in of_parts

    def _trial(self, content: object) -> str:
        try:
            return self._run([{"role": "user", "content": content}])
        except Exception:
            return ""
