"""The trampoline: runs strategies' coroutines until every one of them waits for a token."""

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from app.decoding.core.commands import Candidates, Command, ForcedToken, NextToken, TokenCommand
from app.decoding.core.gather import Gather
from app.decoding.core.types import Token
from app.errors import StrategyError


@dataclass(eq=False)
class Join:
    """A `gather` in progress: `waiter` goes on when all branches have a result."""

    waiter: "Task"
    branches: list["Task"] = field(default_factory=list["Task"])
    results: dict[int, Any] = field(default_factory=dict[int, Any])


@dataclass(eq=False, slots=True)
class Task:
    """One coroutine of a strategy: the strategy itself, or a branch of a `gather`.

    request: what it is waiting for a token for. join, index: the gather that it is a branch of.
    """

    coroutine: Coroutine[Command, Any, Any]
    join: Join | None = None
    index: int = 0
    request: TokenCommand | None = None
    children: Join | None = None
    done: bool = False
    result: Any = None
    error: Exception | None = None

    def close(self) -> None:
        """Stop it and its branches, innermost first."""
        if self.children is not None:
            for branch in self.children.branches:
                branch.close()
            self.children = None
        if self.request is not None:
            self.request.sequence.pending = False
            self.request = None
        if not self.done:
            self.done = True
            try:
                self.coroutine.close()
            except BaseException:
                # It is being abandoned, so there is nobody left to tell but the log.
                logger.exception("A strategy raised while it was being stopped.")


logger = logging.getLogger(__name__)

_Resumption = tuple[Task, Any, Exception | None]


def run(
    task: Task, value: Token | tuple[Token, ...] | None = None, error: Exception | None = None
) -> list[Task]:
    """Resume a task, with a token or by raising `error` in it, and then all that follows from that.

    Returns the tasks that now wait for a token.
    A root task that returned or raised is `done` afterwards, with its result or error.
    """
    waiting: list[Task] = []
    ready: deque[_Resumption] = deque([(task, value, error)])
    while ready:
        current, sent, failure = ready.popleft()
        if current.done:
            continue
        current.request = None
        try:
            command = current.coroutine.send(sent) if failure is None else current.coroutine.throw(failure)
        except StopIteration as stop:
            ready.extend(_returned(current, stop.value))
        except Exception as raised:
            ready.extend(_raised(current, raised))
        except BaseException as raised:  # SystemExit is not for a strategy to decide
            ready.extend(_raised(current, StrategyError(f"A strategy raised {type(raised).__name__}.")))
        else:
            ready.extend(_commanded(current, command, waiting))
    return [task for task in waiting if task.request is not None]


def _commanded(task: Task, command: object, waiting: list[Task]) -> list[_Resumption]:
    match command:
        case NextToken(sequence=sequence) | ForcedToken(sequence=sequence) | Candidates(sequence=sequence):
            if sequence.pending:
                problem = "two branches draw for the same sequence at once; fork() it"
            elif sequence.finished:
                problem = "next() was awaited after the sequence had ended"
            else:
                sequence.pending = True
                task.request = command
                waiting.append(task)
                return []
            return [(task, None, StrategyError(f"A token was asked for, but {problem}."))]
        case Gather(branches=branches):
            if not branches:
                return [(task, [], None)]
            join = Join(task)
            join.branches = [Task(_coroutine(branch), join, i) for i, branch in enumerate(branches)]
            task.children = join
            return [(branch, None, None) for branch in join.branches]
        case _:
            problem = f"A strategy may await only its sequences and gather(), not {command!r}."
            return [(task, None, StrategyError(problem))]


def _returned(task: Task, result: Any) -> list[_Resumption]:
    task.done = True
    task.result = result
    join = task.join
    if join is None:
        return []
    join.results[task.index] = result
    if len(join.results) < len(join.branches):
        return []
    join.waiter.children = None
    return [(join.waiter, [join.results[i] for i in range(len(join.branches))], None)]


def _raised(task: Task, error: Exception) -> list[_Resumption]:
    task.done = True
    task.error = error
    join = task.join
    if join is None:
        return []
    for branch in join.branches:
        branch.close()
    join.waiter.children = None
    return [(join.waiter, None, error)]


def _coroutine(branch: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    return branch if inspect.iscoroutine(branch) else _await(branch)


async def _await(branch: Awaitable[Any]) -> Any:
    return await branch
