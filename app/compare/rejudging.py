"""Outcomes on which the judge failed, judged again when a run goes on; the texts are there already."""

from app.compare.outcome import Outcome
from app.compare.problem_sets.problem import Verdict


def was_not_judged(outcome: Outcome) -> bool:
    """Whether the judge failed, so that nobody knows what the text is worth."""
    return outcome.judge_error is not None and outcome.correct is None


def with_verdict(outcome: Outcome, verdict: Verdict) -> Outcome:
    """The outcome as the verdict has it; an abstention is worth nothing."""
    worth = not outcome.abstained
    return outcome.model_copy(
        update={
            "correct": None if verdict.correct is None else verdict.correct and worth,
            "solved": None if verdict.solved is None else verdict.solved and worth,
            "score": None if verdict.score is None else verdict.score * worth,
            "answer": verdict.answer,
            "judge_error": verdict.judge_error,
            "first_error": verdict.first_error,
        }
    )
