"""What a command of the user's says that a completion is worth."""

import json
from typing import Any

from app.compare.problem_sets.problem import Problem, Verdict
from app.compare.problem_sets.scoring import JudgeCommand
from app.compare.sandbox.limited import CommandLimits, run_limited

_SHOWN = 100
_MAX_ANSWER = 4096


def judge_by_command(judge: JudgeCommand, problem: Problem, text: str, found: str | None) -> Verdict:
    """The verdict of a command; where it fails nothing is judged, and the verdict says why.

    found: the answer as it was read from the text.
    """
    asked = {
        "id": problem.id,
        "prompt": problem.prompt,
        "completion": text,
        "found": found,
        "answer": problem.answer,
        "fields": {name: value for name, value in problem.fields.items() if name != "prompt"},
    }
    limits = CommandLimits(judge.seconds, judge.memory_mib * 1024 * 1024)
    finished = run_limited(judge.command, json.dumps(asked).encode(), limits)
    if finished.output is None:
        return Verdict(found, None, judge_error=f"the judge {judge.command[0]}: {finished.failure}")
    try:
        score, answer = _read(finished.output)
    except ValueError as error:
        return Verdict(found, None, judge_error=f"the judge {judge.command[0]}: {error}")
    return Verdict(found if answer is None else answer, score == 1, score=score)


def _read(output: str) -> tuple[float, str | None]:
    """Score and answer, if it gives one.

    Raises:
        ValueError: what it wrote is no score; the message says what is expected.
    """
    wanted = 'a number from 0 to 1, or {"score": ..., "answer": ...}'
    try:
        said: Any = json.loads(output)
    except (ValueError, RecursionError):
        raise ValueError(f"it wrote {output[:_SHOWN]!r}; it is to write {wanted}") from None
    answer = None
    if isinstance(said, dict):
        answer, said = said.get("answer"), said.get("score")
    if isinstance(said, bool):
        said = float(said)
    if not isinstance(said, int | float) or not 0 <= said <= 1:
        raise ValueError(f"its score is {output.strip()[:_SHOWN]!r}; it is to write {wanted}")
    if answer is not None:  # half of a pair of surrogates, which JSON may hold, is in no file's encoding
        answer = str(answer)[:_MAX_ANSWER].encode(errors="replace").decode()
    return float(said), answer
