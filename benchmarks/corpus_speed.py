"""How many problems of a corpus one core draws and writes per second, and how many solutions it checks.

python benchmarks/corpus_speed.py [--corpus igsm] [--count 20000] [--seed 0]
"""

from argparse import ArgumentParser
from collections.abc import Callable
from itertools import islice
from time import process_time

from rich.console import Console
from rich.table import Table

from models.corpora.corpus import judge
from models.corpora.drawing import problems
from models.corpora.registry import DEFAULT, corpus_named

REPEATS = 3


def main() -> None:
    """Measure, and print a table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default=DEFAULT)
    parser.add_argument("--count", type=int, default=20_000, help="problems per measurement")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    count: int = arguments.count
    seed: int = arguments.seed

    corpus = corpus_named(arguments.corpus)

    def drawn():
        return islice(problems(corpus, "train", seed), count)

    sample = list(drawn())
    texts = [(problem.prompt, problem.solution) for problem in sample]
    wrong = [(problem, solution.replace("= 1", "= 2")) for problem, solution in texts]
    parsed = [(corpus.parse(problem), solution) for problem, solution in texts]

    rows: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("draw a problem of a split, as phrases", "", lambda: sum(1 for _ in drawn())),
        ("draw it and write both texts", "10,000", lambda: [(p.prompt, p.solution) for p in drawn()]),
        ("check a correct solution", "5,000", lambda: [judge(corpus, *pair) for pair in texts]),
        ("check a wrong solution", "5,000", lambda: [judge(corpus, *pair) for pair in wrong]),
        ("check one of a parsed problem", "", lambda: [checker.judge(text) for checker, text in parsed]),
    )
    table = Table("on one core", title=f"{corpus.name}, {count} problems, best of {REPEATS}")
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
