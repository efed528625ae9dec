"""demur with all signals on against other engines on the same weights: how much faster or slower is it?

Every engine runs in a process of its own, in an environment that is made for it; they are asked in turns, one
at a time. A ratio is a peer's seconds over demur's in the same turn, so above 1 demur is faster; prompts are
random ids, other ones in every turn. An engine that cannot be installed, or cannot load a network, is told
with its error, and the others go on. On a busy machine --cpu-time counts processor seconds, not those on the
clock; engines that spin while they wait lose by it with more than one thread.

    python -m benchmarks.peers.run [--network igsm] [--peer transformers] [--batch 1 --batch 8 --batch 32]
"""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.hub_throughput import prompts
from benchmarks.peers.networks import NETWORKS, made
from benchmarks.peers.peers import DEMUR, PEERS, Peer, PeerError, python_of
from benchmarks.peers.worker import Timed, Worker

REFERENCE = "transformers"
"""Whose texts the others' are compared with: the weights are the same where they are."""
_SAME = 8
"""Tokens at the beginning of a text that are compared: what comes later may follow from a rounded tie."""


@dataclass(frozen=True)
class Case:
    """So many rows at once, of so many tokens each, completed by so many."""

    batch: int
    length: int
    tokens: int

    @property
    def name(self) -> str:
        return f"prefill {self.length}" if self.tokens == 1 else f"batch {self.batch}"


@dataclass
class Found:
    """Of an engine on a network: by case, ratios of all turns and tokens per second; or what went wrong."""

    peer: str
    start: float = 0.0
    memory: float = 0.0
    peak: float = 0.0
    ratios: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    same: float | None = None
    error: str | None = None


@contextmanager
def at_work(
    peers: Sequence[Peer], folder: Path, model: Path, threads: int, rows: int, context: int
) -> Generator[tuple[dict[str, Worker], dict[str, Found]]]:
    """Those of the peers that can be started, and what is known of all of them."""
    found = {peer.name: Found(peer.name) for peer in peers}
    workers: dict[str, Worker] = {}
    with ExitStack() as stack, Progress(transient=True) as progress:
        for peer in progress.track(peers, description=f"starting on {model.name}"):
            log = folder / f"{model.name}-{peer.name.replace(' ', '-')}.log"
            try:
                python = python_of(peer, folder)
                worker = stack.enter_context(Worker(peer, python, model, threads, rows, context, log))
            except PeerError as error:
                found[peer.name].error = str(error)
                continue
            workers[peer.name] = worker
            found[peer.name].start, found[peer.name].memory = worker.start, worker.memory
        yield workers, found


def measure(
    workers: dict[str, Worker],
    found: Mapping[str, Found],
    case: Case,
    turns: int,
    vocabulary: int,
    cpu_time: bool,
) -> None:
    """Ask all in turns, and note what came; one that ends is not asked again."""
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for turn in range(turns + 1):
        texts = prompts(case.batch, case.length, vocabulary, turn)
        answers: dict[str, Timed] = {}
        for name in list(workers):
            try:
                answers[name] = workers[name].write(texts, case.tokens)
            except PeerError as error:
                found[name].error = str(error)
                del workers[name]
                continue
            found[name].peak = answers[name].peak
            if turn:  # the first one warms up
                seconds[name].append(answers[name].cpu if cpu_time else answers[name].clock)
        if not turn and case.tokens > 1 and REFERENCE in answers:
            for name, answer in answers.items():
                found[name].same = _same(answer.texts, answers[REFERENCE].texts)
    for name in workers:
        pairs = zip(seconds[name], seconds[DEMUR.name], strict=True)
        found[name].ratios[case.name] = [its / ours for its, ours in pairs]
        found[name].rates[case.name] = case.batch * case.tokens / median(seconds[name])


def _same(texts: list[list[int]], others: list[list[int]]) -> float:
    """Share of the texts that begin alike."""
    pairs = list(zip(texts, others, strict=True))
    return sum(one[:_SAME] == other[:_SAME] for one, other in pairs) / len(pairs)


def table(found: Sequence[Found], cases: Sequence[Case]) -> Iterator[str]:
    """Lines of Markdown."""
    names = [case.name for case in cases]
    yield f"| engine | {' | '.join(names)} | same texts | start s | MB ready | MB at most |"
    yield "|---|" + "---|" * (len(names) + 4)
    for each in found:
        if each.error:
            yield f"| {each.peer} | {each.error.replace('|', '/')} |" + " |" * (len(names) + 3)
            continue
        cells = [_cell(each.ratios[name], each.rates[name]) for name in names]
        same = "" if each.same is None else f"{each.same:.0%}"
        cells += [same, f"{each.start:.1f}", f"{each.memory:.0f}", f"{each.peak:.0f}"]
        yield f"| {each.peer} | {' | '.join(cells)} |"


def _cell(ratios: Sequence[float], rate: float) -> str:
    return f"**{median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}), {rate:.0f}/s"


def main(
    network: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(NETWORKS)}, or a folder.  [default: all but folders]"),
    ] = None,
    peer: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(each.name for each in PEERS)}.  [default: all]")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(help="[default: 1, 8, 32]")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens that complete a prompt.")] = 64,
    length: Annotated[int, typer.Option(min=1, help="Tokens of a prompt.")] = 32,
    prefill: Annotated[int, typer.Option(min=1, help="Tokens of the prompt that is only read.")] = 240,
    turns: Annotated[int, typer.Option(min=1)] = 5,
    cpu_time: Annotated[bool, typer.Option("--cpu-time", help="Count processor seconds.")] = False,
    folder: Annotated[Path, typer.Option(help="Of environments, networks, results.")] = Path("runs/peers"),
) -> None:
    """Measure, print a table for each network, and append to results.jsonl."""
    known = {each.name: each for each in PEERS}
    unknown = set(peer or ()) - set(known)
    if unknown:
        raise typer.BadParameter(f"no peer {sorted(unknown)[0]!r}; there are {', '.join(known)}")
    # demur goes first: ratios are to it.
    chosen = [each for each in PEERS if each is DEMUR or not peer or each.name in peer]
    cases = [*(Case(rows, length, tokens) for rows in batch or (1, 8, 32)), Case(1, prefill, 1)]
    context = max(length + tokens, prefill + 1)
    folder.mkdir(parents=True, exist_ok=True)
    console, results = Console(), folder / "results.jsonl"
    for name in network or NETWORKS:
        model = made(name, folder / "networks") if name in NETWORKS else Path(name)
        vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
        rows = max(case.batch for case in cases)
        with at_work(chosen, folder.resolve(), model.resolve(), threads, rows, context) as (workers, found):
            if DEMUR.name not in workers:
                raise typer.BadParameter(f"{name}: {found[DEMUR.name].error}")
            with Progress(transient=True) as progress:
                for case in progress.track(cases, description=f"measuring {name}"):
                    measure(workers, found, case, turns, vocabulary, cpu_time)
        told = {"network": name, "threads": threads, "cpu_time": cpu_time, "turns": turns}
        with results.open("a") as lines:
            lines.write(json.dumps(told | {"found": [asdict(each) for each in found.values()]}) + "\n")
        kind = "processor" if cpu_time else "wall"
        console.print(f"\n**{name}**, {threads} thread(s), a peer's {kind} seconds over demur's\n")
        typer.echo("\n".join(table(list(found.values()), cases)))


if __name__ == "__main__":
    typer.run(main)
