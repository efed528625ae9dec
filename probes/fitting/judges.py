"""Judges that come with demur: what they find wrong in completions of problems with known answers."""

from collections.abc import Callable, Sequence

from probes.errors import LabelsError
from probes.fitting.arithmetic import equations
from probes.fitting.completions import no_answer
from probes.fitting.labels import LabelledCompletion, WrongSpan

AnswerScorer = Callable[[LabelledCompletion], float]
"""How right a completion's answer is, from 0 to 1."""
Judge = Callable[[Sequence[LabelledCompletion]], list[LabelledCompletion]]
"""Marks completions; may leave some of them out."""

RIGHT_FROM = 0.999
"""The least score of an answer that counts as right."""


def answer_judge(score: AnswerScorer) -> Judge:
    """Only the answer is judged, by its score. No step has a label."""

    def judge(completions: Sequence[LabelledCompletion]) -> list[LabelledCompletion]:
        return [
            each.model_copy(update={"correct": _is_right(each, score), "checked": ()}) for each in completions
        ]

    return judge


def arithmetic_judge(score: AnswerScorer) -> Judge:
    """Every equation up to the first wrong one, whose result is marked; a step without an equation has no
    label. The answer counts as wrong by its score, where it is known, or else after a wrong equation."""

    def judge(completions: Sequence[LabelledCompletion]) -> list[LabelledCompletion]:
        judged: list[LabelledCompletion] = []
        for each in completions:
            found = equations(each.completion)
            first = next((index for index, equation in enumerate(found) if not equation.right), len(found))
            wrong = [
                WrongSpan(start=equation.result_start, end=equation.result_end, kind="arithmetic")
                for equation in found[first : first + 1]
            ]
            checked = tuple((equation.result_start, equation.result_end) for equation in found[: first + 1])
            changes = {
                "wrong": tuple(wrong),
                "checked": checked,
                "correct": _is_right(each, score) if each.answer else not wrong,
            }
            judged.append(each.model_copy(update=changes))
        return judged

    return judge


def facts_judge(score: AnswerScorer, known_from: float) -> Judge:
    """Whether the model knows the answer: at least this share of its own completions of a prompt are right.

    One completion per prompt is kept, the first; its answer counts as wrong where the fact is not known.

    Args:
        known_from: above 0, at most 1.
    """

    def judge(completions: Sequence[LabelledCompletion]) -> list[LabelledCompletion]:
        by_prompt: dict[str, list[LabelledCompletion]] = {}
        for each in completions:
            by_prompt.setdefault(each.prompt, []).append(each)
        judged: list[LabelledCompletion] = []
        for found in by_prompt.values():
            share = sum(_is_right(each, score) for each in found) / len(found)
            changes = {
                "correct": share >= known_from,
                "checked": (),
                "tags": {**found[0].tags, "right_share": share},
            }
            judged.append(found[0].model_copy(update=changes))
        return judged

    return judge


def _is_right(completion: LabelledCompletion, score: AnswerScorer) -> bool:
    """Raises LabelsError where the answer is not known."""
    if not completion.answer:
        raise LabelsError(no_answer(completion.prompt))
    return score(completion) >= RIGHT_FROM
