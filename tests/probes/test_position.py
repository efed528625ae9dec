"""Where probes read, by hand and against the definition of a step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.errors import ProbeFileError
from probes.position import At, Position, split_steps

END, MARK, ALSO_END = 1, 2, 3
STEPS = [7, 8, MARK, 9, MARK, END, END, 5, END, 4, 6]
"""Two whole steps, a closing token that stands alone between them, and the beginning of a third."""


def read_at(at: At, read: int = 0, completion: list[int] = STEPS) -> list[int]:
    """Indices of the tokens at which a rule reads."""
    position = Position("p", at, (END, ALSO_END), read, (MARK,) if at == "marker" else ())
    return [
        index
        for number, step in split_steps(completion, position.closing)
        for index in step
        if position.is_read(completion[step.start : index], completion[index], number)
    ]


@pytest.mark.parametrize(
    ("at", "read", "expected"),
    [
        ("prompt", 0, [0]),
        ("read", 0, [0, 7, 9]),
        ("read", 1, [1, 8, 10]),
        ("read", 2, [2]),
        ("marker", 0, [2, 8]),
        ("close", 0, [5, 8]),
        ("every", 0, list(range(len(STEPS)))),
    ],
)
def test_a_rule_reads_where_it_says(at: At, read: int, expected: list[int]) -> None:
    assert read_at(at, read) == expected


def test_a_closing_token_at_the_very_beginning_is_no_step() -> None:
    assert read_at("prompt", completion=[END, 5, END]) == [1]
    assert read_at("every", completion=[END, 5, END]) == [0, 1, 2]
    assert read_at("read", completion=[END, 5, END]) == [1]
    assert read_at("close", completion=[END, 5, END]) == [2]
    assert read_at("marker", completion=[END, MARK, END]) == [1]


completions = st.lists(st.integers(1, 6), max_size=25)


@given(completions)
def test_it_makes_no_difference_which_side_closing_tokens_between_prompt_and_completion_are_on(
    completion: list[int],
) -> None:
    plain = list(split_steps(completion, {END}))
    moved = list(split_steps([END, END, *completion], {END}))[2:]
    assert [(number, [at - 2 for at in step]) for number, step in moved] == [
        (number, list(step)) for number, step in plain
    ]
    if completion and completion[0] not in (END, ALSO_END):
        assert read_at("prompt", completion=[END, END, *completion]) == [2]


@given(completions)
def test_steps_hold_every_token_once_and_end_with_one_that_closes(completion: list[int]) -> None:
    numbered = list(split_steps(completion, {END, ALSO_END}))
    steps = [step for _, step in numbered]
    for place, (number, _) in enumerate(numbered):
        real = [
            step for step in steps[:place] if [completion[at] for at in step][:1] not in ([END], [ALSO_END])
        ]
        assert number == len(real)
    assert [index for step in steps for index in step] == list(range(len(completion)))
    for number, step in enumerate(steps):
        closed = [completion[index] in (END, ALSO_END) for index in step]
        assert not any(closed[:-1])
        assert closed[-1] or number == len(steps) - 1


@given(completions, st.sampled_from(["marker", "close"]), st.integers(0, 3))
def test_a_step_is_read_at_most_once(completion: list[int], at: At, read: int) -> None:
    steps = [step for _, step in split_steps(completion, {END, ALSO_END})]
    for indices in (read_at(at, completion=completion), read_at("read", read, completion)):
        assert all(sum(index in step for index in indices) <= 1 for step in steps)
    # Every whole step that is more than its closing token is read at its end.
    whole = [step for step in steps if len(step) > 1 and completion[step[-1]] in (END, ALSO_END)]
    assert read_at("close", completion=completion) == [step[-1] for step in whole]


@pytest.mark.parametrize(
    "fields", [{"at": "marker"}, {"at": "close", "markers": (2,)}, {"at": "read", "read": -1}]
)
def test_a_rule_that_means_nothing_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ProbeFileError, match="position 'p': read is"):
        Position(**({"name": "p", "closing": (1,)} | fields))  # pyright: ignore[reportArgumentType]
