"""Problems in number: endless streams and fixed sets, each reproducible from its arguments."""

from collections.abc import Callable, Iterator
from random import Random
from typing import TypeVar

from models.corpora.corpus import Corpus, DrawnProblem
from models.corpora.splits import Split

Drawn = TypeVar("Drawn")


def problems(corpus: Corpus, split: Split, seed: int, sizes: range | None = None) -> Iterator[DrawnProblem]:
    """An endless stream of problems of one split, the size uniform over `sizes`, or else those trained on."""
    return stream(corpus.draw, split, seed, sizes if sizes is not None else corpus.sizes.trained)


def stream(
    draw: Callable[[Random, Split, int], Drawn], split: Split, seed: int, sizes: range
) -> Iterator[Drawn]:
    """What `draw` draws of a split, the size uniform over `sizes`; it depends on the arguments alone."""
    random = Random(f"{split}/{seed}")
    while True:
        yield draw(random, split, sizes[int(random.random() * len(sizes))])


def draw_set(corpus: Corpus, split: Split, size: int, count: int, seed: int) -> list[DrawnProblem]:
    """The first `count` problems of one size; a larger set begins with the smaller one.

    Raises:
        SpecError: there is no such problem.
    """
    random = Random(f"evaluate/{split}/{size}/{seed}")
    return [corpus.draw(random, split, size) for _ in range(count)]
