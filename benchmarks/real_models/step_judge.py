"""A judge for `demur probe label`: the first equation that does not hold, or else the answer.

    demur probe label --prompts train.jsonl --judge "python -m benchmarks.real_models.step_judge"

An answer is wrong where it is not the prompt's, even if it follows from the lines before it. What stands
behind an equation that does not hold is not judged.
"""

import sys
from collections.abc import Iterable, Iterator

from probes.fitting.arithmetic import equations
from probes.fitting.labels import LabelledCompletion, WrongSpan

MARKER = "Answer:"


def judged(labelled: LabelledCompletion) -> LabelledCompletion:
    """The completion with its first mistake, and which characters were judged."""
    text = labelled.completion
    at = text.rfind(MARKER)
    end = text.find("\n", at) if at >= 0 else -1
    end = len(text) if end < 0 else end
    answer = text[at + len(MARKER) : end].strip() if at >= 0 else ""
    right = answer.casefold() == labelled.answer.casefold()
    checked: list[tuple[int, int]] = []
    for equation in equations(text[:at] if at >= 0 else text):
        span = (equation.result_start, equation.result_end)
        checked.append(span)
        if not equation.right:
            return _marked(labelled, span, "arithmetic", checked, right)
    if at < 0:
        return labelled.model_copy(update={"checked": tuple(checked), "correct": False})
    checked.append((at, end))
    if right:
        return labelled.model_copy(update={"checked": tuple(checked), "correct": True})
    return _marked(labelled, (at, end), "answer", checked, right)


def _marked(
    labelled: LabelledCompletion,
    span: tuple[int, int],
    kind: str,
    checked: list[tuple[int, int]],
    right: bool,
) -> LabelledCompletion:
    wrong = (WrongSpan(start=span[0], end=span[1], kind=kind),)
    return labelled.model_copy(
        update={"wrong": wrong, "judged": span[1], "checked": tuple(checked), "correct": right}
    )


def answers(lines: Iterable[str]) -> Iterator[str]:
    """A line for each that is asked."""
    for line in lines:
        yield judged(LabelledCompletion.model_validate_json(line)).model_dump_json(exclude_defaults=True)


if __name__ == "__main__":
    for answer in answers(sys.stdin):
        sys.stdout.write(answer + "\n")
