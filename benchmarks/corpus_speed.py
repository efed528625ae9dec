"""How many igsm problems one core draws and writes per second, and how many solutions it checks.

python benchmarks/corpus_speed.py [--count 20000] [--seed 0]
"""

from argparse import ArgumentParser
from collections.abc import Callable
from itertools import islice
from time import process_time

from rich.console import Console
from rich.table import Table

from models.corpora.igsm.check import check_parsed, check_solution
from models.corpora.igsm.dataset import problems
from models.corpora.igsm.parse import parse_problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.text import problem_phrases, render_problem, render_solution, solution_phrases

REPEATS = 3


def main() -> None:
    """Measure, and print a table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="problems per measurement")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    count: int = arguments.count
    seed: int = arguments.seed

    def drawn():
        return islice(problems(IgsmSpec(), "train", seed), count)

    sample = list(drawn())
    texts = [(render_problem(problem), render_solution(problem)) for problem in sample]
    wrong = [(problem, solution.replace("= 1", "= 2")) for problem, solution in texts]
    parsed = [(parse_problem(problem), solution) for problem, solution in texts]

    rows: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("draw a problem of a split", "", lambda: sum(1 for _ in drawn())),
        (
            "draw it and list its phrases",
            "",
            lambda: [(problem_phrases(p), solution_phrases(p)) for p in drawn()],
        ),
        (
            "draw it and write both texts",
            "10,000",
            lambda: [(render_problem(p), render_solution(p)) for p in drawn()],
        ),
        ("check a correct solution", "5,000", lambda: [check_solution(*pair) for pair in texts]),
        ("check a wrong solution", "5,000", lambda: [check_solution(*pair) for pair in wrong]),
        ("check one of a parsed problem", "", lambda: [check_parsed(*pair) for pair in parsed]),
    )
    table = Table(
        "on one core", title=f"igsm, op 1 to 5, 0 to 3 distractors, {count} problems, best of {REPEATS}"
    )
    table.add_column("per second", justify="right")
    table.add_column("target", justify="right")
    for name, target, work in rows:
        table.add_row(name, f"{count / min(_seconds(work) for _ in range(REPEATS)):,.0f}", target)
    Console().print(table)


def _seconds(work: Callable[[], object]) -> float:
    """Processor time, so that other processes on the machine count less."""
    start = process_time()
    work()
    return process_time() - start


if __name__ == "__main__":
    main()
