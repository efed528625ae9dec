"""When a mistake was noticed, does the probe find the right step among the others?

At the first wrong step of greedy solutions, every other beginning of the step (the likeliest first tokens)
is written to its end, and the checker judges all of them. How often is the next likeliest right, how often
that of the lowest `step_error` among the first 1, 2, 4, ... others, and what does the probe say of right and
of wrong ones?

    python benchmarks/probe_alternatives.py [--ops 7 8] [--problems 120]
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.decoding.branches import fork_each
from app.decoding.gather import gather
from app.decoding.sampling_params import SamplingParams
from app.decoding.sequence import Sequence
from app.decoding.steps import STEP_ENDS, step_written
from app.decoding.types import StoppingParams
from app.engine.asking import answer_all
from app.engine.engine import Engine, GenerationRequest, Stream
from app.settings import EMBEDDED_CHECKPOINT, load_settings
from models.checkpoint import load
from models.corpora.igsm.check import check_steps
from models.corpora.igsm.parse import ParsedProblem, parse_problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.text import SOLUTION_START, render_problem
from models.evaluate import draw_set
from probes.store import load_all

PROBE = "probe:step_error"
OTHERS = 13


@dataclass(frozen=True)
class Step:
    """A way to write the step."""

    right: bool
    error: float


class AtFirstMistake:
    """Writes greedily up to the first wrong step, then that step in all ways. `found` has a list per text:
    the other ways, likeliest first."""

    needs = frozenset({PROBE})

    def __init__(self, modulus: int) -> None:
        self.modulus = modulus
        self.found: list[list[Step]] = []

    async def decode(self, sequence: Sequence) -> Sequence:
        problem = parse_problem(sequence.spec.prompt.strip(), self.modulus)
        written = step_written(STEP_ENDS)
        while not sequence.finished:
            start = sequence.position
            await sequence.extend(until=written)
            steps = check_steps(problem, sequence.text)
            if not steps or steps[-1].verdict == "correct":
                continue
            sequence.rewind(start, "mistake")
            branches = fork_each(sequence, await sequence.candidates(OTHERS + 1))
            await gather(*(branch.extend(until=written) for branch in branches if not branch.finished))
            self.found.append([self._judged(problem, branch, start, len(steps)) for branch in branches[1:]])
            break
        return sequence

    @staticmethod
    def _judged(problem: ParsedProblem, branch: Sequence, start: int, number: int) -> Step:
        reports = check_steps(problem, branch.text)
        right = len(reports) == number and reports[-1].verdict == "correct"
        return Step(
            right, max((token.signals.get(PROBE, 0.0) for token in branch.tokens[start:]), default=1.0)
        )


def main(
    ops: Annotated[tuple[int, int], typer.Option(help="Smallest and largest op.")] = (7, 8),
    problems: Annotated[int, typer.Option(help="Validation problems of each op.")] = 120,
) -> None:
    """Print how often each choice is right."""
    loaded = load(EMBEDDED_CHECKPOINT)
    spec = IgsmSpec.of_checkpoint(loaded.card)
    assert spec is not None, "the embedded checkpoint is one of the igsm corpus"
    probes = [stored.probe for stored in load_all(load_settings({}).probes_folder, loaded)]
    look = AtFirstMistake(spec.modulus)
    engine = Engine(loaded, None, probes)

    def submit(text: str) -> Stream:
        ids = loaded.tokenizer.encode(text)
        stopping = StoppingParams(engine.context_length - len(ids))
        return engine.submit(GenerationRequest(tuple(ids), look, SamplingParams(temperature=0.0), stopping))

    drawn = [
        each for op in range(ops[0], ops[1] + 1) for each in draw_set(spec, "validation", op, problems, 4)
    ]
    prompts = [render_problem(each) + SOLUTION_START for each in drawn]
    with engine:
        for _ in track(answer_all(prompts, submit, 2), "solving", total=len(prompts)):
            pass
    shown = Table(title=f"{len(look.found)} first mistakes of greedy texts")
    for heading in ("of the likeliest others", "one is right", "next likeliest is", "lowest step_error is"):
        shown.add_column(heading, justify="right")
    for count in (1, 2, 3, 4, 8, OTHERS):
        some = [others[:count] for others in look.found]
        shares = (
            np.mean([any(step.right for step in others) for others in some]),
            np.mean([others[0].right for others in some]),
            np.mean([min(others, key=lambda step: step.error).right for others in some]),
        )
        shown.add_row(str(count), *(f"{share:.1%}" for share in shares))
    Console().print(shown)
    for name, wanted in (("right", True), ("wrong", False)):
        scores = [step.error for others in look.found for step in others if step.right == wanted]
        quartiles = ", ".join(f"{each:.2f}" for each in np.quantile(scores, [0.25, 0.5, 0.75]))
        Console().print(f"step_error of {len(scores)} {name} ones: quartiles {quartiles}")


if __name__ == "__main__":
    typer.run(main)
