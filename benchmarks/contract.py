"""Does every answer match the OpenAPI document?

Starts `demur serve` with a comparison that is over, and has schemathesis draw requests of every route, valid
and not, with the comparison's real id. It ends with status 1 if an answer is a 5xx, or does not have the
status, the type or the schema that the document says. Other rounds submit and delete comparisons.
schemathesis needs an environment of its own:
`python -m venv V && V/bin/pip install schemathesis`.

    python -m benchmarks.contract V/bin/schemathesis [--examples 400] [--seed 1] [--seconds 600]
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx2
from rich.console import Console

from benchmarks.served import finished_comparison, served

SMALL = ("--max-queue-seconds", "600", "--request-timeout-seconds", "60", "--default-max-tokens", "16")
"""What is drawn may ask for much; none of it is to be refused for the load."""

MATCHES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
"""What is checked of every answer. That valid bodies are taken, but for rules that no schema can say, is what
`tests/app/api/test_schema_limits.py` checks: schemathesis cannot tell those rules apart."""

EXPECTED = ["2xx", "3xx", "4xx", "503", "504", "507"]
"""A request may be for half a millisecond; what the document says of it is no fault."""


_GENERATING = ("/v1/completions", "/v1/chat/completions")

ROUNDS = {
    "reading, scoring and checking": [
        "--exclude-method",
        "DELETE",
        *(word for path in (*_GENERATING, "/v1/compare") for word in ("--exclude-path", path)),
    ],
    "submitting comparisons": ["--include-path", "/v1/compare"],
    "removing comparisons": ["--include-method", "DELETE"],
    "completions, whose bodies take long to draw": [
        word for path in _GENERATING for word in ("--include-path", path)
    ],
}
"""Options of each round, by its name: what removes comes after what reads."""


def run(tool: Path, url: str, id: str, options: list[str], asked: argparse.Namespace) -> tuple[int, int]:
    """Status of a round, and how many requests it made."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "schemathesis.toml"
        config.write_text(
            f'[parameters]\n"path.id" = {json.dumps(id)}\n'
            f"[checks.not_a_server_error]\nexpected-statuses = {json.dumps(EXPECTED)}\n"
        )
        record = Path(folder) / "report.har"
        command = [str(tool), "--config-file", str(config), "run", f"{url}/openapi.json", "--url", url]
        command += ["--checks", ",".join(MATCHES), "--phases", "examples,coverage,fuzzing"]
        # One worker: with more, Python 3.11 has raised SystemError from `ast.parse` in two of its threads.
        command += ["--workers", "1"]
        command += [
            "--max-examples",
            str(asked.examples),
            "--seed",
            str(asked.seed),
            "--request-timeout",
            "120",
        ]
        command += ["--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure"]
        command += ["--report", "har", "--report-har-path", str(record), "--no-color", *options]
        made = subprocess.Popen(command, cwd=folder)
        try:
            made.wait(asked.seconds)
        except subprocess.TimeoutExpired:
            made.send_signal(signal.SIGINT)  # it tells what it has found so far
            made.wait()
        # The record may be cut off, so it is counted as text.
        cases = record.read_text().count('"startedDateTime"') if record.exists() else 0
        return made.returncode, cases


def main() -> None:
    """Run every round; fail if one did."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tool", type=Path, help="the command of schemathesis")
    parser.add_argument("--examples", type=int, default=400, help="cases of each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600, help="most of a round")
    asked = parser.parse_args()
    console, failed = Console(highlight=False), False
    with served(*SMALL) as server, httpx2.Client(base_url=server.url, timeout=300) as http:
        id = finished_comparison(http)
        http.get("/openapi.json").raise_for_status()  # the first takes longer than schemathesis waits
        for name, options in ROUNDS.items():
            status, cases = run(asked.tool, server.url, id, options, asked)
            failed |= status != 0
            console.print(f"{name}: {cases} cases, seed {asked.seed}, {'failed' if status else 'passed'}")
        http.get("/health/live").raise_for_status()
    sys.exit(failed)


if __name__ == "__main__":
    main()
