"""demur's server beside llama.cpp's and vLLM's on the same weights, under 1 to 64 clients at once.

Each runs in a process of its own, all with float32 weights and as many threads; they are asked in turns.
demur sends entropy, varentropy and the probes' scores with every token, the others send text. Clients stream
greedy completions of prompts of random ids. A server that cannot start is told with its error.

    python -m benchmarks.peers.servers [--network igsm] [--clients 1 --clients 32] [--tokens 64] [--turns 3]
"""

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import httpx2
import numpy as np
import typer

from benchmarks.arrivals import arrivals
from benchmarks.hub_throughput import prompts
from benchmarks.peers.networks import NETWORKS, OURS, made
from benchmarks.peers.peers import PEERS, Peer, PeerError, python_of
from benchmarks.peers.worker import ROOT
from benchmarks.served import served

START_SECONDS = 300
_SERVERS = ("llama.cpp f32", "vLLM eager")


@dataclass(frozen=True)
class Server:
    """Where it listens, and what every request has besides the prompt."""

    port: int
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Seen:
    """What the clients saw, in seconds."""

    rates: list[float] = field(default_factory=list[float])
    first: list[float] = field(default_factory=list[float])
    gaps: list[float] = field(default_factory=list[float])

    def row(self, name: str, clients: int) -> str:
        """A line of the table, in milliseconds."""
        first, gaps = np.array(self.first) * 1000, np.array(self.gaps) * 1000
        cells = [
            f"{median(self.rates):.0f} ({min(self.rates):.0f} to {max(self.rates):.0f})",
            *(f"{np.quantile(first, part):.0f}" for part in (0.5, 0.99)),
            *(f"{np.quantile(gaps, part):.1f}" for part in (0.5, 0.99)),
        ]
        return f"| {clients} | {name} | {' | '.join(cells)} |"


async def ask(server: Server, texts: list[list[int]], tokens: int) -> Seen:
    """All at once."""
    began = time.perf_counter()
    common = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True, **server.extra}
    arrived = await asyncio.gather(*(arrivals(server.port, {"prompt": ids, **common}) for ids in texts))
    seconds = time.perf_counter() - began
    if not all(arrived):
        raise PeerError("a completion came without a token")
    gaps = [gap for each in arrived for gap in np.diff(each).tolist()]
    return Seen([len(texts) * tokens / seconds], [each[0] - began for each in arrived], gaps)


@contextmanager
def demur(model: Path, rows: int, context: int, threads: int) -> Generator[Server]:
    """Its server, with all signals and probes asked for."""
    ours = model / OURS
    folder = ours.resolve() if ours.exists() else model
    os.environ["OMP_NUM_THREADS"] = str(threads)
    sizes = ("--max-rows", str(rows), "--max-context", str(context))
    with served("--checkpoint", str(folder), *sizes) as server:
        listed = httpx2.get(f"{server.url}/v1/signals").raise_for_status().json()["data"]
        probes = [each["name"] for each in listed if each["name"].startswith("probe:")]
        yield Server(int(server.url.rsplit(":", 1)[1]), {"signals": ["entropy", "varentropy", *probes]})


@contextmanager
def peer_server(
    peer: Peer, folder: Path, model: Path, rows: int, context: int, threads: int
) -> Generator[Server]:
    """Another engine's.

    Raises:
        PeerError: it ended, or was not ready in five minutes.
    """
    python = str(python_of(peer, folder))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
    log = folder / f"{model.name}-{peer.name.replace(' ', '-')}-server.log"
    with (
        log.open("w") as said,
        subprocess.Popen(
            [python, *_COMMANDS[peer.name](python, model, port, rows, context, threads)],
            env=environment,
            stdout=said,
            stderr=said,
        ) as process,
    ):
        try:
            _wait(process, peer, port, log)
            yield Server(port)
        finally:
            process.kill()


def _llama(python: str, model: Path, port: int, rows: int, context: int, threads: int) -> list[str]:
    code = "import sys; from benchmarks.peers.workers.gguf_file import written; from pathlib import Path; "
    code += "print(written(Path(sys.argv[1]), 'float32'))"
    file = subprocess.run(
        [python, "-c", code, str(model)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    sizes = map(str, (port, rows, context, threads))
    return ["-m", "benchmarks.peers.workers.llama_server", file, *sizes]


def _vllm(_python: str, model: Path, port: int, rows: int, context: int, _threads: int) -> list[str]:
    sizes = ["--max-num-seqs", str(rows), "--max-model-len", str(context), "--port", str(port)]
    command = ["-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--host", "127.0.0.1"]
    return [*command, "--dtype", "float32", "--enforce-eager", "--served-model-name", "model", *sizes]


_COMMANDS: Mapping[str, Callable[[str, Path, int, int, int, int], list[str]]] = dict(
    zip(_SERVERS, (_llama, _vllm), strict=True)
)


def _wait(process: "subprocess.Popen[bytes]", peer: Peer, port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.5)
    lines = [each for each in log.read_text(errors="replace").splitlines() if each.strip()]
    raise PeerError(f"{peer.name} did not start: {' / '.join(lines[-3:])}")


def main(
    network: Annotated[str, typer.Option(help=f"{', '.join(NETWORKS)}, or a folder.")] = "igsm",
    clients: Annotated[list[int] | None, typer.Option(help="At once.  [default: 1, 8, 32, 64]")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens that complete a prompt.")] = 64,
    length: Annotated[int, typer.Option(min=1, help="Tokens of a prompt.")] = 32,
    turns: Annotated[int, typer.Option(min=1)] = 3,
    folder: Annotated[Path, typer.Option(help="Of environments and networks.")] = Path("runs/peers"),
) -> None:
    """Measure, and print a table."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    model = (made(network, folder / "networks") if network in NETWORKS else Path(network)).resolve()
    vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
    counts = clients or [1, 8, 32, 64]
    rows, context = max(counts), length + tokens
    with ExitStack() as stack:
        servers = {"demur, all signals": stack.enter_context(demur(model, rows, context, threads))}
        for peer in (each for each in PEERS if each.name in _SERVERS):
            try:
                its = stack.enter_context(peer_server(peer, folder, model, rows, context, threads))
                servers[peer.name] = its
            except PeerError as error:
                typer.echo(f"{error}", err=True)
        typer.echo("| clients | server | tokens/s | first token ms | its 99% | between two ms | its 99% |")
        typer.echo("|---|---|---|---|---|---|---|")
        for count in counts:
            seen = {name: Seen() for name in servers}
            for turn in range(turns + 1):
                texts = prompts(count, length, vocabulary, turn)
                for name, server in servers.items():
                    found = asyncio.run(ask(server, texts, tokens))
                    if turn:  # the first one warms up
                        seen[name].rates += found.rates
                        seen[name].first += found.first
                        seen[name].gaps += found.gaps
            for name, its in seen.items():
                typer.echo(its.row(name, count))


if __name__ == "__main__":
    typer.run(main)
