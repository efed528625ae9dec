"""What do faults do to a server? Nothing may hang, nothing reported may be lost, no text may be another.

Every case has a `demur serve` of its own and one kind of fault:

- forward, sampling: the network or the samplers raise at random, by a seed. An answer is the text that the
  same request gets without faults, or the error `internal_error`; the server stays ready.
- full disk: no file may grow beyond some kilobytes; deleted folder: comparisons lose theirs. They fail with a
  reason, and completions go on.
- vanishing client: the connection is closed or reset after every part of a request and of its answer. All
  rows are free again, and nothing waits.
- SIGTERM: while loading, idle, in a stream, in forty, in a body, in a comparison, and twice. The process ends
  within the drain, and what a comparison had reported is there after the next start.

    python -m benchmarks.faults [--only REGEX] [--requests 60] [--seed 0]
"""

import argparse
import re
import resource
import shutil
import sys
from collections.abc import Callable

import httpx2
from rich.console import Console

from benchmarks.fault_clients import told_to_stop, vanishing
from benchmarks.fault_tools import (
    ARMS,
    DRAWN,
    Unmet,
    answers,
    bodies,
    idle,
    reported,
    require,
    status_once_over,
    submit,
    text_of,
)
from benchmarks.served import served

FAULTY = """
import random, resource, sys
def raising(owner, name, share, seed):
    inner, drawn = getattr(owner, name), random.Random(seed)
    def faulty(*args, **kwargs):
        if drawn.random() < share:
            raise RuntimeError("injected")
        return inner(*args, **kwargs)
    setattr(owner, name, faulty)
from app.engine.forward import Forward
from app.decoding.sampling.chain import SamplingChain
{faults}
from app.cli import main
main()
"""
"""A server with faults in it, from outside: the code that is served is as it is."""


def raising(owner: str, names: tuple[str, ...], asked: argparse.Namespace) -> str:
    """Requests to a server whose forward pass or sampling raises."""
    wanted = bodies(asked.requests, asked.seed)
    with served() as sound:
        right = [text_of(each) for each in answers(sound.url, wanted)]
    faults = "\n".join(f"raising({owner}, {name!r}, 0.02, {asked.seed})" for name in names)
    with served(program=FAULTY.format(faults=faults)) as server:
        got = answers(server.url, wanted)
        failed = [each for each in got if each.status_code != 200]
        for response, text in zip(got, right, strict=True):
            if response.status_code == 200:
                require(text_of(response) == text, "a text is another")
            else:
                error = response.json()["error"]
                require(error["code"] == "internal_error", error)
                require("injected" not in error["message"], error)
        require(bool(failed), "no fault hit anything: ask for more requests")
        idle(server)
        require(httpx2.get(f"{server.url}/health/ready").status_code == 200, "the server is not ready")
    return f"{len(failed)} of {len(got)} requests failed, all with internal_error; every other text is right"


def full_disk(_asked: argparse.Namespace) -> str:
    """No file may have more than 64 KB."""
    faults = f"resource.setrlimit(resource.RLIMIT_FSIZE, (65536, {resource.RLIM_INFINITY}))"
    with served(program=FAULTY.format(faults=faults)) as server:
        answer = httpx2.post(
            f"{server.url}/v1/compare",
            json={"arms": ARMS, "problems": DRAWN, "max_tokens": 60, "latency_problems": 0},
            timeout=120,
        )
        if answer.status_code == 202:
            last = status_once_over(server.url, answer.json()["id"])
            require(last["status"] == "failed", last)
            says = str(last["error"])
        else:
            require(answer.status_code == 507, answer.text)
            says = answer.json()["error"]["message"]
        require(answers(server.url, bodies(1, 0))[0].status_code == 200, "completions fail too")
        return f"the comparison failed: {says[:80]}"


def deleted_folder(_asked: argparse.Namespace) -> str:
    """The folder of comparisons goes while one runs."""
    with served() as server:
        id = submit(server.url)
        reported(server.url, id, 5)
        shutil.rmtree(server.comparisons, ignore_errors=True)
        last = status_once_over(server.url, id)
        require(last.get("status") in ("failed", "done") or last["http"] in (404, 507), last)
        for route in ("", f"/{id}", f"/{id}/results", f"/{id}/report.json"):
            code = httpx2.get(f"{server.url}/v1/compare{route}", timeout=60).status_code
            require(code in (200, 404, 507), f"{route}: {code}")
        require(answers(server.url, bodies(1, 0))[0].status_code == 200, "completions fail too")
        return f"the comparison ended as {last.get('status') or last['http']}"


CASES: dict[str, Callable[[argparse.Namespace], str]] = {
    "forward": lambda asked: raising("Forward", ("_step", "_prefill"), asked),
    "sampling": lambda asked: raising("SamplingChain", ("choose",), asked),
    "full disk": full_disk,
    "deleted folder": deleted_folder,
    "vanishing client": vanishing,
    "SIGTERM": told_to_stop,
}


def main() -> None:
    """Run every case; fail if one did more than it may."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="a regular expression of names")
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    console, failed = Console(highlight=False, soft_wrap=True), 0
    for name, case in CASES.items():
        if not re.search(asked.only, name):
            continue
        try:
            console.print(f"{name}: {case(asked)}")
        except Unmet as unmet:
            failed += 1
            console.print(f"{name}: NOT MET: {unmet}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
