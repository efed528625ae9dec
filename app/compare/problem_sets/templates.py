"""How a problem becomes a prompt: as text or as a chat, after examples if there are any."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.compare.problem_sets.problem import Problem
from app.errors import ParameterError
from models.chat_template import Message

_CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True)
_PLACE = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_Written = Annotated[str, Field(max_length=20_000)]

QUESTION = "What is asked: {prompt}, or the name in braces of any field of the problem; {{ writes a brace."


class TextTemplate(BaseModel):
    """The prompt is a text: examples with their answers, then the question."""

    model_config = _CONFIG

    form: Literal["text"] = "text"
    question: _Written = Field(default="{prompt}", min_length=1, description=QUESTION)
    answer: _Written = Field(
        default=" {answer}", description="What follows the question of an example: {answer}, or fields."
    )
    separator: _Written = Field(default="\n\n", description="Stands after each example.")

    def render(self, problem: Problem, examples: Sequence[Problem], param: str) -> str:
        """The text of a prompt. param: where the template stands, for errors.

        Raises:
            ParameterError: the template names a field that a problem lacks.
        """
        question, answer = f"{param}.question", f"{param}.answer"
        shown = [
            _fill(self.question, each, question) + _fill(self.answer, each, answer) + self.separator
            for each in examples
        ]
        return "".join(shown) + _fill(self.question, problem, question)


class TurnsTemplate(BaseModel):
    """The prompt is a chat, rendered by the model's own chat template: an example is a turn of each side."""

    model_config = _CONFIG

    form: Literal["chat"]
    system: _Written | None = Field(default=None, description="The system message. Default: none.")
    question: _Written = Field(default="{prompt}", min_length=1, description=QUESTION)
    answer: _Written = Field(
        default="{answer}", description="What the assistant says to an example: {answer}, or fields."
    )

    def messages(self, problem: Problem, examples: Sequence[Problem], param: str) -> list[Message]:
        """The messages of a prompt. param: where the template stands, for errors.

        Raises:
            ParameterError: the template names a field that a problem lacks.
        """
        question, answer = f"{param}.question", f"{param}.answer"
        system = [] if self.system is None else [Message("system", (self.system,))]
        turns = [
            message
            for each in examples
            for message in (
                Message("user", (_fill(self.question, each, question),)),
                Message("assistant", (_fill(self.answer, each, answer),)),
            )
        ]
        return [*system, *turns, Message("user", (_fill(self.question, problem, question),))]


PromptTemplate = Annotated[TextTemplate | TurnsTemplate, Field(discriminator="form")]


def _fill(template: str, problem: Problem, param: str) -> str:
    """The template with the problem's fields in the place of their names."""
    fields: Mapping[str, str] = {"answer": problem.answer or "", **problem.fields}

    def written(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if name not in fields:
            raise ParameterError(
                f"{param} names {{{name}}}, which problem {problem.id!r} lacks; it has "
                f"{', '.join(sorted(fields))}. Write {{{{ for a brace.",
                param=param,
                code="unknown_name",
            )
        return fields[name]

    return _PLACE.sub(written, template)
