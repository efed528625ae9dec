"""Items that come with the spec: which are asked, and how they are judged."""

from typing import Any

import pytest

from app.compare.problem_sets.question_split import split_of_question
from app.compare.problems import problem_set_of
from app.compare.spec import parse_spec
from app.compare.summary import measure_of, problems_of
from app.errors import ParameterError
from models.checkpoint import LoadedCheckpoint
from models.corpora.splits import SPLITS
from tests.app.compare.running import given, make_spec

ITEMS: list[dict[str, Any]] = [{"prompt": f"What is {place}?", "answer": str(place)} for place in range(60)]


def test_examples_are_not_asked_and_a_smaller_set_begins_a_larger_one(checkpoint: LoadedCheckpoint) -> None:
    whole = problem_set_of(make_spec(**given(ITEMS, examples=3)), checkpoint)
    assert [each.id for each in whole.examples()] == ["0", "1", "2"]
    assert [each.id for each in whole.draw()] == [str(place) for place in range(3, 60)]
    few = problem_set_of(make_spec(**given(ITEMS, examples=3, count=5)), checkpoint)
    assert few.draw() == whole.draw()[:5]


def test_splits_share_no_item_and_leave_none_out(checkpoint: LoadedCheckpoint) -> None:
    found: list[str] = []
    for split in SPLITS:
        spec = make_spec(**given(ITEMS, split=split))
        drawn = problem_set_of(spec, checkpoint).draw()
        assert len(drawn) == problems_of(spec)
        assert all(split_of_question(each.prompt) == split for each in drawn)
        found += [each.id for each in drawn]
    assert sorted(found, key=int) == [str(place) for place in range(60)]
    assert split_of_question(" a\n b") == split_of_question("a b")


def test_a_split_without_items_is_refused(checkpoint: LoadedCheckpoint) -> None:
    split = next(each for each in SPLITS if each != split_of_question("a"))
    with pytest.raises(ParameterError, match="no item falls into it") as caught:
        problem_set_of(make_spec(**given([{"prompt": "a"}], split=split)), checkpoint).draw()
    assert caught.value.param == "problems.split"


@pytest.mark.parametrize(
    ("problems", "param"),
    [
        ({"items": ITEMS[:2], "examples": 2}, "problems.examples"),
        ({"items": [{"prompt": "a"}, *ITEMS], "examples": 1}, "problems.examples"),
        (
            {"items": [{"prompt": "a", "answer": "many"}], "scoring": {"kind": "number"}},
            "problems.items[0].answer",
        ),
        ({"items": ITEMS, "scoring": {"kind": "regex", "pattern": "x"}}, "problems.scoring.pattern"),
        ({"items": ITEMS, "template": {"form": "text", "system": "x"}}, "problems.template.system"),
    ],
)
def test_what_does_not_go_together_is_named(problems: dict[str, Any], param: str) -> None:
    with pytest.raises(ParameterError) as caught:
        parse_spec(
            {
                "arms": [{"name": "a", "strategy": {"kind": "greedy"}}],
                "problems": {"source": "given", **problems},
            }
        )
    assert caught.value.param == param


def test_the_last_number_of_a_text_is_compared_as_a_number(checkpoint: LoadedCheckpoint) -> None:
    rules = {"reading": {"rule": "last_number"}, "scoring": {"kind": "number", "tolerance": 0.01}}
    spec = make_spec(**given([{"prompt": "a", "answer": "#### 1,200"}], **rules))
    problem_set = problem_set_of(spec, checkpoint)
    [problem] = problem_set.draw()
    right = problem_set.judge(problem, "First 3, then 1200.005.")
    assert (right.answer, right.correct, right.score) == ("1200.005", True, None)
    assert problem_set.judge(problem, "nothing").correct is False
    assert measure_of(spec) == "correct"
    assert measure_of(make_spec(**given(ITEMS, scoring={"kind": "set", "credit": "f1"}))) == "score"


def test_a_repeated_example_is_not_asked(checkpoint: LoadedCheckpoint) -> None:
    items = [*ITEMS[:3], {**ITEMS[0], "id": "again"}, {**ITEMS[0], "id": "other", "fields": {"hint": "x"}}]
    spec = make_spec(**given(items, examples=2))
    assert [each.id for each in problem_set_of(spec, checkpoint).draw()] == ["2", "other"]
    assert problems_of(spec) == 2
    with pytest.raises(ParameterError, match="none but the 1 that are shown"):
        problem_set_of(make_spec(**given([ITEMS[0], ITEMS[0]], examples=1)), checkpoint).draw()
