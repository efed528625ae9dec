"""The random walk against its law: the transition matrix of a small tree, written out."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample, StochasticBacktracking
from app.decoding.strategies.base import Runnable
from tests.app.decoding.strategies.scripted import END, Run, attempts, begin, drive
from tests.app.engine.tiny import ask, collect, tiny_engine

# Steps are a letter and a full stop; "" is the root, and a node ending in "$" a text that ended.
CHILDREN: dict[str, dict[str, float]] = {
    "": {"a.": 0.5, "b.": 0.3, "$": 0.2},
    "a.": {"c.": 0.6, "d.": 0.4},
    "b.": {"c.": 0.9, "$": 0.1},
}
VALUES = {
    "": 1.0, "$": 0.3, "a.": 0.9, "b.": 0.4, "a.c.": 0.2, "a.d.": 0.8, "b.c.": 0.7, "b.$": 0.5,
}  # fmt: skip
LENGTH = 4
LEAVES = [node for node in VALUES if node not in CHILDREN]


def writer(seed: int) -> Any:
    """Writes what the tree says, by a generator that the strategy knows nothing of."""
    random = np.random.default_rng(seed)

    def write(sequence: Sequence, _: SamplingParams) -> Token:
        text = sequence.text
        if len(text) % 2:
            return Token(ord("."), -1.0, {"probe:step_error": 1 - VALUES[f"{text}."]})
        children = CHILDREN[text]
        step = str(random.choice(list(children), p=list(children.values())))
        if step == "$":
            return Token(END, -1.0, {"probe:step_error": 1 - VALUES[f"{text}$"]})
        return Token(ord(step[0]), -1.0, {})

    return write


def walk(seed: int, **fields: Any) -> Run:
    params = {"aggregate": "last", "max_steps": 10_000, **fields}
    strategy = StochasticBacktracking.model_validate(params)
    return drive(strategy, writer(seed), begin(max_tokens=LENGTH, seed=seed))


def node_of(run: Run) -> str:
    return run.text + ("$" if run.result.tokens[-1].id == END else "")


def transitions(backtrack: float) -> tuple[list[str], NDArray[np.float64]]:
    """The walk without its laziness, from the formula."""
    nodes = list(VALUES)
    matrix = np.zeros((len(nodes), len(nodes)))
    for node in nodes:
        weights: dict[str, float] = {
            node + step: (1 - backtrack) * share * VALUES[node + step]
            for step, share in CHILDREN.get(node, {}).items()
        }
        if node:
            parent = node[:-1] if node.endswith("$") else node[:-2]
            weights[parent] = backtrack * VALUES[node]
        for other, weight in weights.items():
            # With no way back a leaf has nowhere to go, and the walk ends there.
            matrix[nodes.index(node), nodes.index(other)] = weight / (sum(weights.values()) or 1.0)
    return nodes, matrix


def require_law(found: list[str], law: dict[str, float]) -> None:
    counts = Counter(found)
    assert set(counts) <= set(law)
    observed = [counts[node] for node in law]
    assert stats.chisquare(observed, [len(found) * share for share in law.values()]).pvalue > 0.001


@pytest.mark.parametrize("backtrack", [0.0, 0.25, 0.5])
def test_the_first_leaf_has_the_law_of_the_transition_matrix(backtrack: float) -> None:
    nodes, matrix = transitions(backtrack)
    leaves = [nodes.index(leaf) for leaf in LEAVES]
    inner = [index for index in range(len(nodes)) if index not in leaves]
    visits = np.linalg.inv(np.eye(len(inner)) - matrix[np.ix_(inner, inner)])[0]
    hits = visits @ matrix[np.ix_(inner, leaves)]
    found = [node_of(walk(seed, backtrack=backtrack)) for seed in range(800)]
    require_law(found, dict(zip(LEAVES, hits.tolist(), strict=True)))


@pytest.mark.parametrize("backtrack", [0.25, 0.5])
def test_the_walk_settles_on_what_the_model_writes_times_its_value(backtrack: float) -> None:
    odds = (1 - backtrack) / backtrack
    # By hand: probability, value, odds to the power of the number of steps.
    weights = {
        "$": 0.2 * 0.3 * odds,
        "a.c.": 0.5 * 0.6 * 0.2 * odds**2,
        "a.d.": 0.5 * 0.4 * 0.8 * odds**2,
        "b.c.": 0.3 * 0.9 * 0.7 * odds**2,
        "b.$": 0.3 * 0.1 * 0.5 * odds**2,
    }
    nodes, matrix = transitions(backtrack)
    lazy = np.linalg.matrix_power((matrix + np.eye(len(nodes))) / 2, 400)[0]
    shares = lazy[[nodes.index(leaf) for leaf in weights]]
    assert np.allclose(shares / shares.sum(), np.array(list(weights.values())) / sum(weights.values()))


@pytest.mark.parametrize("backtrack", [0.25, 0.5])
def test_looked_at_after_every_so_many_moves_it_is_where_the_matrix_says(backtrack: float) -> None:
    nodes, matrix = transitions(backtrack)
    leaves = [nodes.index(leaf) for leaf in LEAVES]
    inner = [index for index in range(len(nodes)) if index not in leaves]
    moves = np.linalg.matrix_power((matrix + np.eye(len(nodes))) / 2, 10)
    # On a leaf it ends, elsewhere it goes on for as many moves again.
    rounds = np.linalg.inv(np.eye(len(inner)) - moves[np.ix_(inner, inner)])[0]
    law = rounds @ moves[np.ix_(inner, leaves)]
    found = [node_of(walk(seed, backtrack=backtrack, moves=10)) for seed in range(600)]
    require_law(found, dict(zip(LEAVES, law.tolist(), strict=True)))


def test_a_probe_that_never_doubts_and_no_way_back_is_the_base_sampler() -> None:
    fields = {"probe": "probe:none", "backtrack": 0.0}
    run = drive(StochasticBacktracking.model_validate(fields), attempts([("a.", 0.0)], [("b.", 0)]))
    assert (run.text, run.events, run.discarded) == ("a.b.", [], 0)


class WithoutProbe:
    """The strategy, with a signal in the probe's place that the tiny engine has and that is never there."""

    def __init__(self, strategy: Runnable) -> None:
        self.strategy = strategy
        self.needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        return await self.strategy.decode(sequence)


def test_on_a_model_too() -> None:
    ours = WithoutProbe(StochasticBacktracking(backtrack=0.0))
    with tiny_engine() as engine:
        for seed in range(3):
            found, base = (
                collect(engine.submit(ask((3, 1, 4), each, seed=seed, max_tokens=30)))
                for each in (ours, Sample())
            )
            assert found.only.ids == base.only.ids


def test_the_steps_that_are_written_are_bounded_and_counted() -> None:
    run = walk(1, backtrack=0.5, moves=1000, max_steps=9)
    assert run.events[-1].rule == "walk_ended"
    assert sum(place % 2 == 0 for place in run.places) in (9, 10)
    assert sum(int(event.detail.get("discarded", 0)) for event in run.events) == run.discarded
    never = drive(StochasticBacktracking(max_steps=5), attempts([("a.", 1.0)], signal="probe:step_error"))
    assert never.text == "a."
    assert [event.rule for event in never.events] == ["rejected"] * 5 + ["walk_ended"]
