"""Which part a group of completions is in."""

from collections import Counter
from pathlib import Path

import pytest

from probes.errors import LabelsError
from probes.fitting.labels import PARTS, SHARES, LabelledCompletion, Part, WrongSpan
from probes.fitting.splits import PARTS_FILE, settled_parts, with_parts


def labelled(problem: int, wrong: bool, part: Part | None = None) -> LabelledCompletion:
    spans = (WrongSpan(start=0, end=1),) if wrong else ()
    return LabelledCompletion(prompt=f"problem {problem}", completion="text", wrong=spans, part=part)


def test_parts_have_their_shares_of_few_mistakes_too_and_a_group_stays_in_one() -> None:
    labels = [labelled(problem, problem % 20 == 0) for problem in range(400) for _ in range(2)]
    found = with_parts(labels)
    for kind in (True, False):
        counts = Counter(each.part for each in found if bool(each.wrong) == kind)
        for part, share in SHARES.items():
            assert abs(counts[part] - share * sum(counts.values())) <= 2
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert first.part == second.part
    assert [each.prompt for each in found] == [each.prompt for each in labels]
    assert with_parts(labels[::-1]) == found[::-1]


def test_ten_groups_are_enough_for_every_part() -> None:
    assert {each.part for each in with_parts([labelled(problem, False) for problem in range(10)])} == set(
        PARTS
    )


def test_a_part_that_is_given_is_kept() -> None:
    labels = [labelled(problem, False, "test") for problem in range(5)]
    assert with_parts(labels) == labels


def test_no_group_moves_when_there_are_more_labels(tmp_path: Path) -> None:
    few = [labelled(problem, problem % 3 == 0) for problem in range(40)]
    first = {each.prompt: each.part for each in settled_parts(tmp_path, few)}
    more = [labelled(problem, problem % 2 == 0) for problem in range(90)]
    later = {each.prompt: each.part for each in settled_parts(tmp_path, more)}
    assert first.items() <= later.items()
    assert {each.prompt: each.part for each in settled_parts(tmp_path, more[::-1])} == later
    (tmp_path / PARTS_FILE).write_text('{"0123": "train"}')
    with pytest.raises(LabelsError, match="the part of 0123 is 'train'"):
        settled_parts(tmp_path, few)


def test_completions_that_bring_their_part_are_not_remembered(tmp_path: Path) -> None:
    settled_parts(tmp_path, [labelled(0, False, "fit")])
    assert not (tmp_path / PARTS_FILE).exists()


def test_a_group_goes_where_somebody_put_one_of_its_completions() -> None:
    given = [labelled(problem, False, "test") for problem in range(20)]
    bare = [labelled(problem, False) for problem in range(20)]
    assert {each.part for each in with_parts([*bare, *given])} == {"test"}
