"""What a model of a comparison is given of a problem: by the template of the problems, or of an arm."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.compare.problem_sets.problem import Problem
from app.compare.problem_sets.sources import CorpusProblems
from app.compare.problem_sets.templates import PromptTemplate, TextTemplate
from app.compare.spec import Arm, ComparisonSpec
from app.errors import ParameterError, UnfitError
from models.errors import TemplateError
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prompts:
    """Writes prompts for a model. examples: solved problems that stand before each that is asked."""

    spec: ComparisonSpec
    tokenizer: Tokenizer
    examples: Sequence[Problem]

    def written(self, problem: Problem) -> Problem:
        """The problem with the prompt that most arms get.

        Raises:
            ParameterError: the template does not fit the problem or the model.
        """
        source = self.spec.problems
        if isinstance(source, CorpusProblems):
            return problem
        return replace(problem, prompt=self._text(source.template, problem, "problems.template"))

    def ids(self, problem: Problem, arm: Arm | None = None) -> tuple[int, ...]:
        """The token ids of what an arm gets of a problem, or of what most of them get.

        Raises:
            ParameterError: the arm's template does not fit the problem or the model.
        """
        source = self.spec.problems
        if arm is not None and arm.template is not None:
            template = arm.template
            text = self._text(template, problem, f"arms[{self.spec.arms.index(arm)}].template")
        elif isinstance(source, CorpusProblems):
            template, text = TextTemplate(), problem.prompt
        else:  # not the prompt as it is written, which may be for another model
            template, text = source.template, self._text(source.template, problem, "problems.template")
        # What a chat template renders has its special tokens already.
        return tuple(self.tokenizer.encode_prompt(text, add_special_tokens=template.form == "text"))

    def _text(self, template: PromptTemplate, problem: Problem, param: str) -> str:
        if template.form == "text":
            return template.render(problem, self.examples, param)
        chat = self.tokenizer.chat_template
        if chat is None:
            raise UnfitError(
                f"{param}.form is 'chat', but this model has no chat template; write prompts as text.",
                param=f"{param}.form",
            )
        try:
            return chat.render(template.messages(problem, self.examples, param)).text
        except TemplateError as error:
            raise ParameterError(
                f"the model's chat template refuses the messages of problem {problem.id!r}: {error}",
                param=param,
                code="chat_template_error",
            ) from error
