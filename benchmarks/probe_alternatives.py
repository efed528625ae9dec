"""When a mistake was noticed, does the probe find the right step among the others?

At the first wrong step of greedy solutions, every other beginning of the step (the likeliest first tokens)
is written to its end, and the checker judges all of them. How often is the next likeliest right, how often
that of the lowest `step_error` among the first 1, 2, 4, ... others, and what does the probe say of right and
of wrong ones?

    python benchmarks/probe_alternatives.py [--ops 7 8] [--problems 120]
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.parts.branches import fork_each
from app.decoding.strategies.parts.steps import STEP_ENDS, step_written
from app.engine.engine import Engine, GenerationRequest, Stream
from app.measure.asking import answer_all
from app.settings import EMBEDDED_CHECKPOINT, load_settings
from models.checkpoint import LoadedCheckpoint, load
from models.corpora.corpus import Checker, Corpus
from models.corpora.drawing import draw_set
from models.corpora.registry import corpus_of
from models.corpora.splits import Split
from probes.probe import Probe
from probes.store import load_all

PROBE = "probe:step_error"
OTHERS = 13
LIKELIEST = SamplingParams(temperature=0.0)


@dataclass(frozen=True)
class Alternative:
    """A way to write a step whose first attempt was wrong.

    ids: of the completion, the step from `start` on. is_mistake: it is that first attempt. error: by PROBE.
    """

    prompt: str
    ids: tuple[int, ...]
    start: int
    is_mistake: bool
    is_right: bool
    error: float


class AtFirstMistake:
    """Writes up to the first wrong step, then that step from each of the likeliest first tokens on.

    `found` has a list per text, likeliest first.
    """

    def __init__(self, corpus: Corpus, ways: int, needs: frozenset[str]) -> None:
        self.needs = needs
        self.found: list[list[Alternative]] = []
        self._corpus = corpus
        self._ways = ways

    async def decode(self, sequence: Sequence) -> Sequence:
        problem = self._corpus.parse(sequence.spec.prompt)
        written = step_written(STEP_ENDS)
        while not sequence.finished:
            start = sequence.position
            await sequence.extend(until=written)
            steps = problem.judge(sequence.text).steps
            if not steps or steps[-1].verdict == "correct":
                continue
            mistake = _ids(sequence)
            sequence.rewind(start, "mistake")
            branches = fork_each(sequence, await sequence.candidates(self._ways, LIKELIEST))
            unfinished = [branch for branch in branches if not branch.finished]
            await gather(*(branch.extend(until=written, sampling=LIKELIEST) for branch in unfinished))
            self.found.append([_judged(problem, branch, start, len(steps), mistake) for branch in branches])
            break
        return sequence


def _judged(
    problem: Checker, branch: Sequence, start: int, number: int, mistake: tuple[int, ...]
) -> Alternative:
    reports = problem.judge(branch.text).steps
    errors = (token.signals.get(PROBE, 0.0) for token in branch.tokens[start:])
    return Alternative(
        prompt=branch.spec.prompt,
        ids=_ids(branch),
        start=start,
        is_mistake=_ids(branch) == mistake,
        is_right=len(reports) == number and reports[-1].verdict == "correct",
        error=max(errors, default=1.0),
    )


def _ids(sequence: Sequence) -> tuple[int, ...]:
    return tuple(token.id for token in sequence.tokens)


def draw(
    loaded: LoadedCheckpoint,
    probes: Items[Probe],
    split: Split,
    ops: Items[int],
    count: int,
    ways: int,
    temperatures: Items[float] = (0.0,),
) -> list[list[Alternative]]:
    """Alternatives at the first mistakes of solutions of `count` problems of each op."""
    corpus = corpus_of(loaded.card)
    assert corpus is not None, "the embedded checkpoint names its corpus"
    look = AtFirstMistake(corpus, ways, frozenset({PROBE} if probes else ()))
    engine = Engine(loaded, None, probes)
    drawn = [problem for op in ops for problem in draw_set(corpus, split, op, count, 4)]
    prompts = [problem.prompt + corpus.layout.solution_start for problem in drawn]

    def submit(asked: tuple[str, float]) -> Stream:
        ids = loaded.tokenizer.encode_prompt(asked[0])
        stopping = StoppingParams(engine.context_length - len(ids))
        sampling = SamplingParams(temperature=asked[1])
        return engine.submit(GenerationRequest(tuple(ids), look, sampling, stopping))

    with engine:
        pairs = list(product(prompts, temperatures))
        for _ in track(answer_all(pairs, submit, 16), f"solving, {split}", total=len(pairs)):
            pass
    return look.found


def main(
    ops: Annotated[tuple[int, int], typer.Option(help="Smallest and largest op.")] = (7, 8),
    problems: Annotated[int, typer.Option(help="Validation problems of each op.")] = 120,
) -> None:
    """Print how often each choice is right."""
    loaded = load(EMBEDDED_CHECKPOINT)
    probes = [stored.probe for stored in load_all(load_settings({}).probes_folder, loaded)]
    found = draw(loaded, probes, "validation", range(ops[0], ops[1] + 1), problems, OTHERS + 1)
    others = [[each for each in ways if not each.is_mistake] for ways in found]
    shown = Table(title=f"{len(found)} first mistakes of greedy texts")
    for heading in ("of the likeliest others", "one is right", "next likeliest is", "lowest step_error is"):
        shown.add_column(heading, justify="right")
    for count in (1, 2, 3, 4, 8, OTHERS):
        some = [each[:count] for each in others]
        shares = (
            np.mean([any(way.is_right for way in ways) for ways in some]),
            np.mean([ways[0].is_right for ways in some]),
            np.mean([min(ways, key=lambda way: way.error).is_right for ways in some]),
        )
        shown.add_row(str(count), *(f"{share:.1%}" for share in shares))
    Console().print(shown)
    for name, wanted in (("right", True), ("wrong", False)):
        scores = [way.error for ways in others for way in ways if way.is_right == wanted]
        quartiles = ", ".join(f"{each:.2f}" for each in np.quantile(scores, [0.25, 0.5, 0.75]))
        Console().print(f"step_error of {len(scores)} {name} ones: quartiles {quartiles}")


if __name__ == "__main__":
    typer.run(main)
