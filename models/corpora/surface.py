"""What the surface of a problem tells of a quantity, and how far that gives away whether it is needed.

A model that seems to know what is needed before it begins to write may only have looked at the surface:
needed quantities may be mentioned more often, or stand elsewhere. So each such baseline is fitted here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from models.corpora.abilities import Graph, Quantity

Features = Mapping[str, float]


@dataclass(frozen=True)
class SurfaceRow:
    """A quantity as the words of its problem show it.

    problem: index of its problem.
    mentions: how often the problem names it apart from its own definition; the question counts too.
    inner: whether a quantity that is itself mentioned uses it.
    place: which sentence defines it, from 0 for the first to 1 for the last. kind: how it is defined.
    words, user_words: those of the sentence that defines it, and of those that use it.
    """

    problem: int
    needed: bool
    mentions: int
    inner: bool
    place: float
    kind: str
    words: Features
    user_words: Features


def surface_rows(graphs: Sequence[Graph]) -> list[SurfaceRow]:
    """Every quantity of the problems."""
    return [row for index, graph in enumerate(graphs) for row in _rows_of(index, graph)]


def _rows_of(problem: int, graph: Graph) -> list[SurfaceRow]:
    users: dict[str, list[Quantity]] = {each.name: [] for each in graph.quantities}
    for each in graph.quantities:
        for operand in each.operands:
            users[operand].append(each)
    mentions = {name: len(using) + (name == graph.question) for name, using in users.items()}
    last = max(1, len(graph.quantities) - 1)
    return [
        SurfaceRow(
            problem=problem,
            needed=each.needed,
            mentions=mentions[each.name],
            inner=any(mentions[user.name] for user in users[each.name]),
            place=index / last,
            kind=each.kind,
            words=_counted(_words(each)),
            user_words=_counted(
                f"in use: {word}" for user in users[each.name] for word in _words(user) if word != each.name
            ),
        )
        for index, each in enumerate(graph.quantities)
    ]


def _words(quantity: Quantity) -> tuple[str, ...]:
    constant = () if quantity.constant is None else (str(quantity.constant),)
    return (quantity.name, quantity.kind, *constant, *quantity.operands)


def _counted(words: Iterable[str]) -> Features:
    return {word: float(count) for word, count in Counter(words).items()}


def _mentions(row: SurfaceRow) -> Features:
    return {f"mentions: {row.mentions}": 1.0}


def _place(row: SurfaceRow) -> Features:
    return {"place": row.place, "place squared": row.place**2}


def _kind(row: SurfaceRow) -> Features:
    return {f"kind: {row.kind}": 1.0}


def _words_of_its_own(row: SurfaceRow) -> Features:
    return row.words


def _together(row: SurfaceRow) -> Features:
    return {**_mentions(row), **_place(row), **_kind(row), **row.words}


def _with_user_words(row: SurfaceRow) -> Features:
    return {**_together(row), **row.user_words}


BASELINES: Mapping[str, Callable[[SurfaceRow], Features]] = {
    "mentions": _mentions,
    "place": _place,
    "kind": _kind,
    "words": _words_of_its_own,
    "all four": _together,
    "and words of its users": _with_user_words,
}
"""What each baseline sees of a quantity; a logistic regression does the rest."""


def baseline_scores(
    baseline: str, fitted_on: Sequence[SurfaceRow], rows: Sequence[SurfaceRow]
) -> NDArray[np.float64]:
    """Log-odds (n,) that each of the rows is needed, by a logistic regression fitted on other problems."""
    features = BASELINES[baseline]
    model = make_pipeline(DictVectorizer(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit([features(row) for row in fitted_on], [row.needed for row in fitted_on])
    return model.decision_function([features(row) for row in rows])
