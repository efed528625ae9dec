"""Work beside the event loop, and what becomes of it when the server stops."""

import asyncio
import threading

import pytest

from app.api.offloop import Worker
from app.errors import EngineStoppedError


def test_what_a_closed_worker_has_not_begun_is_refused() -> None:
    async def close_meanwhile() -> None:
        worker, begun, go_on = Worker("test"), threading.Event(), threading.Event()

        def work() -> str:
            begun.set()
            go_on.wait(60)
            return "done"

        first = asyncio.create_task(worker.run(work))
        while not begun.is_set():
            await asyncio.sleep(0)
        waiting, leaving = (asyncio.create_task(worker.run(work)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        worker.close()
        for late in (waiting, worker.run(work)):
            with pytest.raises(EngineStoppedError, match="The server is stopping"):
                await late
        with pytest.raises(asyncio.CancelledError):
            await leaving
        go_on.set()
        assert await first == "done"

    asyncio.run(close_meanwhile())


def test_errors_of_the_work_are_its_own() -> None:
    def fail() -> None:
        raise RuntimeError("cannot schedule anything")

    async def run() -> None:
        worker = Worker("test")
        work = asyncio.create_task(worker.run(fail))
        with pytest.raises(RuntimeError, match="anything"):
            await work
        worker.close()

    asyncio.run(run())
