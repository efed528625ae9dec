"""What does each strategy reach on problems of the corpus, and what does it cost?

Every arm solves the same problems with the same seeds; a solution counts if all its steps and its answer are
right. Tokens are all that were computed, discarded ones included. Settings were tuned on validation problems,
four per strategy (`tune`); the test split is read once (`run`). Results go to a JSON Lines file per arm, one
line per problem, so that a run that is stopped goes on where it was.

    python benchmarks/strategies.py tune  [ARM ...]     # validation: accuracy and tokens of every setting
    python benchmarks/strategies.py run   [ARM ...]     # test
    python benchmarks/strategies_table.py             # Markdown, from the files
"""

import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import TypeAdapter
from rich.progress import track

from app.decoding.calibration import read_calibration
from app.decoding.sampling_params import SamplingParams
from app.decoding.strategies import ComparisonParams
from app.decoding.types import StoppingParams
from app.engine.asking import Answer, answer_all
from app.engine.engine import Engine, GenerationRequest, Stream
from app.engine.types import EngineLimits
from app.settings import EMBEDDED_CHECKPOINT, load_settings
from models.checkpoint import load
from models.corpora.igsm.check import check_solution
from models.corpora.igsm.graph import Problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.split import Split
from models.corpora.igsm.text import render_problem
from models.evaluate import draw_set
from probes.store import load_all

Domain = Literal["id", "ood"]

ARMS_FILE = Path(__file__).with_name("strategies.toml")
RUNS = Path("runs/strategies")
SEED = 0
IN_FLIGHT = 64
SEEDS_PER_OP = 1_000_000
"""A problem has its seed whatever the size of the set, so that a larger run can go on from a smaller one."""
STRATEGY: TypeAdapter[Any] = TypeAdapter(ComparisonParams)


@dataclass(frozen=True)
class Arm:
    """A strategy with the request's own sampling."""

    name: str
    strategy: dict[str, Any]
    sampling: dict[str, Any]

    @property
    def settings(self) -> str:
        return json.dumps({"strategy": self.strategy, "sampling": self.sampling}, sort_keys=True)


@dataclass(frozen=True)
class Asked:
    """A problem of an arm. `key` names it in the file, `number` decides its seed."""

    key: str
    number: int
    domain: Domain
    op: int
    problem: Problem


def read_arms(section: str) -> list[Arm]:
    """Arms of the file: `chosen` has one per name, `tried` several."""
    entries: list[dict[str, Any]] = tomllib.loads(ARMS_FILE.read_text())[section]
    return [Arm(each["name"], each["strategy"], each.get("sampling", {})) for each in entries]


def problem_set(spec: IgsmSpec, split: Split, in_domain: int, beyond: int) -> list[Asked]:
    """`in_domain` problems of op 1 to the largest trained, and `beyond` of the four above, ops alike."""
    asked: list[Asked] = []
    inside = range(spec.op_min, spec.op_max + 1)
    outside = range(spec.op_max + 1, spec.op_max + spec.ood_extra + 1)
    for domain, ops, total in (("id", inside, in_domain), ("ood", outside, beyond)):
        for op in ops:
            drawn = draw_set(spec, split, op, round(total / len(ops)), SEED + 1)
            asked += [
                Asked(f"{op}/{index}", SEEDS_PER_OP * op + index, domain, op, problem)  # pyright: ignore[reportArgumentType]
                for index, problem in enumerate(drawn)
            ]
    return asked


class Bench:
    """The served checkpoint with its probes, and how to put a problem to it."""

    def __init__(self, checkpoint: Path) -> None:
        self.loaded = load(checkpoint)
        spec = IgsmSpec.of_checkpoint(self.loaded.card)
        assert spec is not None, f"{checkpoint} is no model of the igsm corpus"
        self.spec = spec
        folder = load_settings({"checkpoint": checkpoint}).probes_folder
        probes = [stored.probe for stored in load_all(folder, self.loaded)]
        calibration = read_calibration(checkpoint, self.loaded.identity)
        self.engine = Engine(
            self.loaded, EngineLimits(max_rows=IN_FLIGHT, max_waiting=4 * IN_FLIGHT), probes, calibration
        )

    def submit(self, arm: Arm, asked: Asked) -> Stream:
        ids = self.loaded.tokenizer.encode(render_problem(asked.problem) + "\n")
        return self.engine.submit(
            GenerationRequest(
                tuple(ids),
                STRATEGY.validate_python(arm.strategy).build(),
                SamplingParams(**arm.sampling),
                StoppingParams(self.engine.context_length - len(ids)),
                seed=SEED + asked.number,
            )
        )

    def outcome(self, asked: Asked, answer: Answer) -> dict[str, Any]:
        """What is kept of an answer."""
        report = check_solution(render_problem(asked.problem), "\n" + answer.text, self.spec.modulus)
        return {
            "key": asked.key,
            "domain": asked.domain,
            "op": asked.op,
            "finish_reason": answer.done.finish_reason,
            "events": len(answer.done.events),
            "kept": answer.usage.completion_tokens,
            "discarded": answer.usage.discarded_tokens,
            "solved": report.correct,
            "answered": report.answer_correct,
            "text": answer.text,
        }

    def solve(self, arm: Arm, problems: list[Asked], done: set[str]) -> Iterator[dict[str, Any]]:
        """Outcomes in the order of the problems, so many at a time as the engine holds."""
        missing = (asked for asked in problems if asked.key not in done)
        for asked, answer in answer_all(missing, lambda each: self.submit(arm, each), IN_FLIGHT):
            yield self.outcome(asked, answer)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Outcomes in a file; a last line that a kill cut short does not count."""
    if not path.exists():
        return []
    *whole, _ = path.read_text().split("\n")
    return [json.loads(line) for line in whole]


def solve_into(path: Path, bench: Bench, arm: Arm, problems: list[Asked]) -> list[dict[str, Any]]:
    """All outcomes of an arm; those that the file has are not computed again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = read_lines(path)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    missing = bench.solve(arm, problems, {line["key"] for line in lines})
    with path.open("a") as file:
        for line in track(missing, path.stem, total=len(problems) - len(lines)):
            file.write(json.dumps(line) + "\n")
            file.flush()
            lines.append(line)
    return lines


def summary(lines: Iterable[dict[str, Any]]) -> str:
    """Share solved and tokens per problem, by domain."""
    parts: list[str] = []
    by_domain: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_domain.setdefault(line["domain"], []).append(line)
    for domain, group in sorted(by_domain.items()):
        solved = sum(line["solved"] for line in group) / len(group)
        tokens = sum(line["kept"] + line["discarded"] for line in group) / len(group)
        parts.append(f"{domain} {solved:.1%} at {tokens:.1f} tokens")
    return "; ".join(parts)


app = typer.Typer(no_args_is_help=True, help=(__doc__ or "").split("\n", 1)[0])
ArmNames = Annotated[list[str] | None, typer.Argument(help="Names of arms. Default: all.")]
CheckpointOption = Annotated[Path, typer.Option(help="A checkpoint of the igsm corpus.")]


def _solve_all(
    section: str, split: Split, names: list[str] | None, checkpoint: Path, in_domain: int, beyond: int
) -> None:
    arms = [arm for arm in read_arms(section) if not names or arm.name in names]
    bench = Bench(checkpoint)
    problems = problem_set(bench.spec, split, in_domain, beyond)
    counts: dict[str, int] = {}
    with bench.engine:
        for arm in arms:
            counts[arm.name] = number = counts.get(arm.name, 0) + 1
            stem = arm.name if section == "chosen" else f"{arm.name}-{number}"
            lines = solve_into(RUNS / split / f"{stem}.jsonl", bench, arm, problems)
            typer.echo(f"{stem}: {summary(lines)}   {arm.settings}")


@app.command()
def tune(
    names: ArmNames = None,
    checkpoint: CheckpointOption = EMBEDDED_CHECKPOINT,
    in_domain: Annotated[int, typer.Option(help="Problems of trained ops.")] = 300,
    beyond: Annotated[int, typer.Option(help="Problems of larger ops.")] = 200,
) -> None:
    """Solve validation problems with every setting of `tried`."""
    _solve_all("tried", "validation", names, checkpoint, in_domain, beyond)


@app.command()
def run(
    names: ArmNames = None,
    checkpoint: CheckpointOption = EMBEDDED_CHECKPOINT,
    in_domain: Annotated[int, typer.Option(help="Problems of trained ops.")] = 3000,
    beyond: Annotated[int, typer.Option(help="Problems of larger ops.")] = 1000,
) -> None:
    """Solve test problems with the settings in `chosen`."""
    _solve_all("chosen", "test", names, checkpoint, in_domain, beyond)


if __name__ == "__main__":
    app()
