"""A real server on a free port of the loopback, as a process or in this one."""

import re
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from app.api.service import Service
from app.commands.serve import draining_server
from app.main import create_app
from app.settings import Settings

START_SECONDS = 180


@dataclass
class Server:
    """A running `demur serve`."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list[str])
    url: str = ""
    ready: threading.Event = field(default_factory=threading.Event)

    def read_log(self) -> None:
        """Collect the log until the process ends; `ready` is set once it serves or is gone."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
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
    config = uvicorn.Config(app, port=0, log_level="error")
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
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--checkpoint", str(checkpoint), *flags], stderr=subprocess.PIPE, text=True
    )
    server = Server(process)
    reader = threading.Thread(target=server.read_log)
    reader.start()
    try:
        assert server.ready.wait(START_SECONDS), server.log
        assert process.poll() is None, server.log
        yield server
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
