"""A real server process on a free port of the loopback."""

import re
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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
