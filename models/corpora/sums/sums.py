"""Sums modulo a number. The problem `7 + 5 + 9?` has the solution `7 + 5 = 2. 2 + 9 = 1. Answer: 1`.

A step adds the next term to the result of the step before, whatever that was: a slip is charged once. It gets
the first verdict that applies, in the order of `Sums.verdicts`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from random import Random

from pydantic import model_validator

from models.chat_template import ChatTemplate
from models.corpora.corpus import DrawnProblem, Layout, ProblemSyntaxError, Report, Sizes, StepReport
from models.corpora.drawing import problems
from models.corpora.settings import CorpusSettings, check_range
from models.corpora.splits import Split, split_of_template
from models.errors import SpecError
from models.tokenizer import OWN_SPECIAL_TOKENS, Tokenizer, train

_DRAWS = 10_000
_PROBLEM = re.compile(r"\d{1,3}( \+ \d{1,3})+\?", re.ASCII)
_STEP = re.compile(r"(\d{1,3}) \+ (\d{1,3}) = (\d{1,3})\.", re.ASCII)
_ANSWER = re.compile(r"Answer: (\d{1,9})\.?(?!\S)", re.ASCII)
_VERDICTS: Mapping[str, str] = {
    "correct": "none of these",
    "syntax": "it cannot be read",
    "superfluous": "every term is added already",
    "terms": "it does not add the next term to the last result",
    "arithmetic": "the result is wrong",
}
_CHAT = ChatTemplate("{{ messages[-1].content.rstrip() + '\\n' }}", OWN_SPECIAL_TOKENS)


class SumsSettings(CorpusSettings):
    """Sums of 2 to `terms_max` terms, 0 to `modulus` - 1 each; `ood_extra` terms more are not trained on."""

    modulus: int = 10
    terms_max: int = 4
    ood_extra: int = 2

    @model_validator(mode="after")
    def _check(self) -> "SumsSettings":
        check_range("modulus", self.modulus, 6, 99)
        check_range("terms_max", self.terms_max, 2, 20)
        check_range("ood_extra", self.ood_extra, 0, 20)
        return self


@dataclass(frozen=True)
class SumsChecker:
    """Judges solutions of one sum."""

    terms: tuple[int, ...]
    modulus: int

    @property
    def answer(self) -> int:
        return sum(self.terms) % self.modulus

    def judge(self, solution: str) -> Report:
        solution = solution.partition("<|endoftext|>")[0]
        steps, totals, start = list[StepReport](), [self.terms[0]], _after_space(solution, 0)
        while not solution.startswith("Answer:", start) and (stop := solution.find(".", start)) >= 0:
            if read := _STEP.fullmatch(solution, start, stop + 1):
                left, right, result = map(int, read.groups())
                verdict, detail = self._verdict(totals, left, right, result)
                steps.append(StepReport(start, stop + 1, f"+ {right}", verdict, detail))
                totals.append(result)
            else:
                steps.append(StepReport(start, stop + 1, None, "syntax", "this cannot be read as a step"))
            start = _after_space(solution, stop + 1)
        answer = _ANSWER.match(solution, start)
        end = len(solution.rstrip())
        if answer is not None and answer.end() < end:
            steps.append(StepReport(answer.end(), end, None, "syntax", "this stands after the answer"))
        return Report(
            steps=tuple(steps),
            answer=None if answer is None else int(answer[1]),
            expected=self.answer,
            missing=tuple(f"+ {term}" for term in self.terms[len(totals) :]),
            unfinished=(start, end) if answer is None and start < end else None,
        )

    def _verdict(self, totals: Sequence[int], left: int, right: int, result: int) -> tuple[str, str]:
        """Verdict and detail of a step after those that came to the totals, of which the first is a term."""
        if len(totals) >= len(self.terms):
            return "superfluous", "every term is added already"
        total, term = totals[-1], self.terms[len(totals)]
        if (left, right) != (total, term):
            return "terms", f"it should begin with {total} + {term}"
        if result != (left + right) % self.modulus:
            return "arithmetic", f"{left} + {right} is {(left + right) % self.modulus}"
        return "correct", ""


@dataclass(frozen=True)
class Sums:
    """The corpus; see `models.corpora.corpus.Corpus`."""

    settings: SumsSettings = field(default_factory=SumsSettings)
    name = "sums"
    layout = Layout(longest_step=8)
    verdicts = _VERDICTS

    @property
    def sizes(self) -> Sizes:
        largest = self.settings.terms_max
        return Sizes(
            "length", "terms", "how many numbers are added", 2, largest, largest + self.settings.ood_extra
        )

    @property
    def answers(self) -> range:
        return range(self.settings.modulus)

    def draw(self, random: Random, split: Split, size: int) -> DrawnProblem:
        if not 2 <= size <= 40:
            raise SpecError(f"length is {size}; it must be between 2 and 40")
        for _ in range(_DRAWS):
            terms = [int(random.random() * self.settings.modulus) for _ in range(size)]
            template = "+".join(map(str, terms))
            if split_of_template(template) == split:
                return self._written(terms, template)
        raise SpecError(f"no sum of {size} terms falls into the split {split!r}; raise the number of terms")

    def parse(self, problem: str) -> SumsChecker:
        if not _PROBLEM.fullmatch(problem.strip()):
            raise ProblemSyntaxError("a problem is a sum such as `7 + 5 + 9?`")
        terms = tuple(int(term) for term in problem.strip()[:-1].split(" + "))
        if max(terms) >= self.settings.modulus:
            raise ProblemSyntaxError(f"{max(terms)} is too large; terms are 0 to {self.settings.modulus - 1}")
        return SumsChecker(terms, self.settings.modulus)

    def make_tokenizer(self) -> Tokenizer:
        sample = islice(problems(self, "train", seed=0), 500)
        numbers = (f"{number} {number}" for number in self.answers)
        texts = ["".join((*each.problem_phrases, *each.solution_phrases)) for each in sample]
        return train([*texts, *numbers], ("Answer:",), _CHAT)

    def _written(self, terms: Sequence[int], template: str) -> DrawnProblem:
        totals = [total % self.settings.modulus for total in accumulate(terms)]
        solution = ["\n"]
        for total, term, result in zip(totals, terms[1:], totals[1:], strict=False):
            solution += (str(total), " +", f" {term}", " =", f" {result}", ". ")
        problem = [str(terms[0]), *(part for term in terms[1:] for part in (" +", f" {term}")), "?"]
        return DrawnProblem(
            len(terms), problem, [*solution, "Answer:", f" {totals[-1]}"], totals[-1], template
        )


def _after_space(text: str, start: int) -> int:
    return start + len(text[start:]) - len(text[start:].lstrip())
