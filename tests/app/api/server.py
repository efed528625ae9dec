"""A real server on a free port of the loopback, as a process or in this one."""

import multiprocessing
import os
import re
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import uvicorn

from app.api.service import Service
from app.cli import main
from app.commands.serve import draining_server
from app.main import create_app
from app.settings import Settings

START_SECONDS = 180

SLOW_KERNEL = {"DEMUR_KERNEL": "torch"}
"""Tests meet servers while they write; by the native step the few tokens of tiny models are there at once."""

# Servers are forked from one process that has imported everything, which takes longer than all else they do.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__, "models.hub.choosing"])


@dataclass
class Server:
    """A running `demur serve`."""

    process: BaseProcess
    lines: list[str] = field(default_factory=list[str])
    url: str = ""
    ready: threading.Event = field(default_factory=threading.Event)

    def read_log(self, log: Connection) -> None:
        """Collect the log until the process ends; `ready` is set once it serves or is gone."""
        with open(log.fileno(), encoding="utf-8", closefd=False) as lines:
            for line in lines:
                self.lines.append(line)
                if found := re.search(r"demur listens on (\S+)", line):
                    self.url = found[1]
                if re.search(r"serving \S+ from", line):
                    self.ready.set()
        self.ready.set()

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return "".join(self.lines)


@dataclass(frozen=True)
class Here:
    """A server in this process, as `demur serve` runs it, whose inside a test can reach."""

    url: str
    service: Service
    server: uvicorn.Server
    thread: threading.Thread

    def stop(self) -> None:
        """What a signal does."""
        self.server.should_exit = True


@contextmanager
def server_here(checkpoint: Path, **given: Any) -> Generator[Here]:
    """Start one with these settings, wait until it is ready, and stop it in the end."""
    settings = Settings(checkpoint=checkpoint, **given)
    app = create_app(settings)
    service: Service = app.state.service
    config = uvicorn.Config(app, http=app.state.protocol, port=0, log_level="error")
    server = draining_server(config, settings.drain_seconds, service.drain, service.stop)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not (server.started and service.serving):
            thread.join(0.02)
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Here(f"http://127.0.0.1:{port}", service, server, thread)
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def running_server(checkpoint: Path, flags: Sequence[str] = ()) -> Generator[Server]:
    """Start `demur serve`, wait until it is ready, and stop it at the end."""
    with starting_server(checkpoint, flags) as server:
        assert server.ready.wait(START_SECONDS), server.log
        assert server.process.is_alive(), server.log
        yield server


@contextmanager
def starting_server(checkpoint: Path, flags: Sequence[str] = ()) -> Generator[Server]:
    """The same without waiting, for what may end by itself. Torch computes, unless a flag says otherwise."""
    arguments = ["serve", "--port", "0", "--checkpoint", str(checkpoint), *flags]
    log, stderr = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_demur, args=(arguments, SLOW_KERNEL | dict(os.environ), stderr))
    process.start()
    stderr.close()
    server = Server(process)
    reader = threading.Thread(target=server.read_log, args=[log])
    reader.start()
    try:
        yield server
    finally:
        process.terminate()
        process.join(START_SECONDS)
        reader.join()
        log.close()


def _demur(arguments: list[str], environment: Mapping[str, str], stderr: Connection) -> None:
    """`demur` with these arguments, as the main program of a process."""
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["demur", *arguments]
    main()
