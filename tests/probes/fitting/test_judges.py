"""The judges that come with demur."""

import pytest

from app.measure.answer_match import holds_answer
from probes.errors import LabelsError
from probes.fitting.judges import answer_judge, arithmetic_judge, facts_judge
from probes.fitting.labels import LabelledCompletion


def completion(text: str, answer: str = "", prompt: str = "question") -> LabelledCompletion:
    return LabelledCompletion(prompt=prompt, completion=text, answer=answer)


def score(each: LabelledCompletion) -> float:
    return float(holds_answer(each.completion, each.answer))


def test_the_first_wrong_equation_is_marked_and_nothing_behind_it_is_checked() -> None:
    text = "First 3 + 4 = 7, so\n7 + 5 = 13\n13 + 1 = 15\n"
    (judged,) = arithmetic_judge(score)([completion(text, "12")])
    (wrong,) = judged.wrong
    assert (text[wrong.start : wrong.end], wrong.kind) == ("13", "arithmetic")
    assert judged.checked is not None
    assert [text[start:end] for start, end in judged.checked] == ["7", "13"]
    assert judged.correct is False


def test_an_answer_that_is_not_known_is_wrong_after_a_wrong_equation() -> None:
    right, wrong, none = arithmetic_judge(score)(
        [completion("1 + 1 = 2"), completion("1 + 1 = 3"), completion("Two.")]
    )
    assert (right.correct, wrong.correct, none.correct) == (True, False, True)
    assert none.checked == ()


def test_only_the_answer_is_judged_by_the_judge_of_answers() -> None:
    right, wrong = answer_judge(score)([completion("It is Rome.", "rome"), completion("Oslo", "Rome")])
    assert (right.correct, wrong.correct) == (True, False)
    assert (right.wrong, right.checked) == ((), ())
    with pytest.raises(LabelsError, match="has no answer to judge by"):
        answer_judge(score)([completion("It is Rome.")])


def test_a_fact_is_known_from_a_share_of_right_completions_on() -> None:
    texts = [("a", "Rome"), ("b", "Oslo"), ("a", "Paris"), ("b", "Bern"), ("a", "Rome"), ("b", "Rome")]
    asked = [completion(text, "Rome", prompt) for prompt, text in texts]
    known, unknown = facts_judge(score, known_from=0.5)(asked)
    assert (known.prompt, known.completion, known.correct) == ("a", "Rome", True)
    assert known.tags["right_share"] == pytest.approx(2 / 3)
    assert (unknown.prompt, unknown.correct) == ("b", False)
