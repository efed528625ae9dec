"""The trampoline alone: gather, errors, stopping."""

from collections.abc import Awaitable
from typing import Any

import pytest

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.span import SequenceSpec
from app.decoding.core.text import Ledger
from app.decoding.core.types import StoppingParams, Token
from app.decoding.sampling.params import SamplingParams
from app.engine.tasks import Task, run
from app.errors import StrategyError


def sequences(n: int) -> list[Sequence]:
    spec = SequenceSpec((1,), SamplingParams(), StoppingParams(9), 20, (), [b"x"] * 9, lambda _: [])
    return [Sequence(spec, Ledger(), (index,)) for index in range(n)]


def feed(task: Task, token_id: int) -> list[Task]:
    """Give a waiting task its token, as the engine does."""
    assert task.request is not None
    token = Token(token_id, 0.0, {})
    task.request.sequence.pending = False
    task.request.sequence.accept(token)
    return run(task, token)


def finish(root: Task) -> Any:
    waiting = run(root)
    while waiting:
        task = waiting.pop(0)
        if task.request is not None:  # else it was stopped by another branch
            waiting.extend(feed(task, 1))
    assert root.done
    if root.error is not None:
        raise root.error
    return root.result


async def draw(sequence: Sequence, n: int) -> int:
    for _ in range(n):
        await sequence.next()
    return n


def test_gather_gives_results_in_order_whatever_finishes_first() -> None:
    a, b, c = sequences(3)

    async def decode() -> list[Any]:
        nested = gather(draw(b, 1), draw(c, 2))
        return [await gather(draw(a, 5), nested), await gather(), await gather(a.next())]

    five, *rest = finish(Task(decode()))
    assert five == [5, [1, 2]]
    assert rest[0] == []
    assert [token.id for token in rest[1]] == [1]


def test_branches_wait_for_tokens_at_the_same_time() -> None:
    async def decode(all_: list[Sequence]) -> None:
        await gather(*(each.next() for each in all_))

    each = sequences(4)
    root = Task(decode(each))
    assert len(run(root)) == 4
    root.close()
    assert not any(one.pending for one in each)


def test_an_exception_of_a_branch_stops_the_others_and_can_be_caught() -> None:
    a, b = sequences(2)
    stopped: list[str] = []

    async def fails() -> None:
        await a.next()
        raise ValueError("boom")

    async def waits() -> None:
        try:
            await draw(b, 9)
        finally:
            stopped.append("waits")

    async def decode() -> str:
        try:
            await gather(waits(), fails())
        except ValueError as error:
            await b.next()  # free again
            return str(error)
        raise AssertionError

    assert finish(Task(decode())) == "boom"
    assert stopped == ["waits"]


def test_an_exception_nobody_catches_is_the_roots() -> None:
    async def decode() -> None:
        await gather(draw(sequences(1)[0], 1), fails())

    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        finish(Task(decode()))


def test_closing_runs_every_branchs_cleanup_innermost_first() -> None:
    order: list[str] = []

    async def guarded(name: str, inner: Awaitable[Any]) -> None:
        try:
            await inner
        finally:
            order.append(name)

    (a,) = sequences(1)
    root = Task(guarded("outer", gather(guarded("inner", a.next()))))
    run(root)
    root.close()
    assert order == ["inner", "outer"]
    assert root.done


def test_two_branches_cannot_draw_for_one_sequence_at_once() -> None:
    (a,) = sequences(1)

    async def decode() -> None:
        await gather(a.next(), a.next())

    with pytest.raises(StrategyError, match="two branches draw for the same sequence"):
        finish(Task(decode()))


def test_a_sequence_that_is_being_drawn_for_cannot_be_changed() -> None:
    (a,) = sequences(1)
    problems: list[str] = []

    async def meddle() -> None:
        for action in (a.fork, lambda: a.rewind(0, "x"), lambda: a.finish("x")):
            with pytest.raises(StrategyError) as caught:
                action()
            problems.append(str(caught.value))
        with pytest.raises(StrategyError) as caught:
            await a.force([1])
        problems.append(str(caught.value))

    async def decode() -> None:
        await gather(a.next(), meddle())

    finish(Task(decode()))
    assert [problem.split("(")[0] for problem in problems] == ["fork", "rewind", "finish", "force"]


def test_only_sequences_and_gather_can_be_awaited() -> None:
    class Other:
        def __await__(self) -> Any:
            yield "something"

    async def decode() -> None:
        await Other()

    with pytest.raises(StrategyError, match="may await only its sequences"):
        finish(Task(decode()))
