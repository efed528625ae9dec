from collections import Counter
from dataclasses import replace
from itertools import islice
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from models.corpora.igsm.check import check_solution
from models.corpora.registry import corpus_named
from models.errors import SpecError
from models.tokenizer import Tokenizer
from models.training.config import PretrainConfig
from models.training.data import batch_source
from models.training.packing import Batch, Document, pack

LENGTH = 24


def packed(seed: int, rows: int) -> tuple[list[Document], Batch]:
    """A batch and all documents that were drawn for it, in which no token occurs twice."""
    drawn: list[Document] = []

    def draw(random: Random) -> Document:
        first = 1 + sum(len(ids) for ids, _ in drawn)
        size = random.randint(2, LENGTH)
        document = list(range(first, first + size)), [random.choice((0.0, 0.25, 1.0)) for _ in range(size)]
        drawn.append(document)
        return document

    return drawn, pack(draw, Random(seed), rows, LENGTH)


def placed(batch: Batch) -> list[tuple[int, slice]]:
    """Row and columns of each document of a batch."""
    found: list[tuple[int, slice]] = []
    for row, numbers in enumerate(batch.documents):
        for number in range(1, numbers.max() + 1):
            (columns,) = np.nonzero(numbers == number)
            assert list(columns) == list(range(columns[0], columns[0] + len(columns)))
            found.append((row, slice(int(columns[0]), int(columns[-1]) + 1)))
    return found


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_each_document_lies_whole_in_one_row(seed: int, rows: int) -> None:
    drawn, batch = packed(seed, rows)
    by_first = {ids[0]: (ids, weights) for ids, weights in drawn}
    for row, columns in placed(batch):
        ids, weights = by_first.pop(int(batch.token_ids[row, columns.start]))
        size = len(ids)
        assert batch.token_ids[row, columns].tolist() == ids
        assert batch.positions[row, columns].tolist() == list(range(size))
        assert batch.targets[row, columns].tolist() == [*ids[1:], 0]
        # A target weighs by where the token that it predicts stands; after the last there is none.
        assert batch.weights[row, columns].tolist() == [*weights[1:], 0.0]
    assert len(by_first) == 6  # what was drawn and fitted nowhere


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_what_is_no_document_is_padding(seed: int, rows: int) -> None:
    _, batch = packed(seed, rows)
    padding = batch.documents == 0
    for array in (batch.token_ids, batch.targets, batch.positions, batch.weights):
        assert array.shape == (rows, LENGTH)
        assert not array[padding].any()
    assert batch.tokens == rows * LENGTH - padding.sum()
    for row in padding:  # only at the end of a row
        assert row.tolist() == sorted(row.tolist())


@given(st.integers(0, 2**32))
def test_same_seed_gives_the_same_batch(seed: int) -> None:
    first, second = packed(seed, 3)[1], packed(seed, 3)[1]
    assert np.array_equal(first.token_ids, second.token_ids)
    assert np.array_equal(first.weights, second.weights)


def test_document_that_fills_a_row_is_placed() -> None:
    batch = pack(lambda _: (list(range(1, LENGTH + 1)), [1.0] * LENGTH), Random(0), 2, LENGTH)
    assert batch.tokens == 2 * LENGTH


def test_document_longer_than_a_row_is_refused_not_dropped() -> None:
    with pytest.raises(SpecError, match="a document has 25 tokens; raise row_length, which is 24"):
        pack(lambda _: (list(range(LENGTH + 1)), [1.0] * (LENGTH + 1)), Random(0), 2, LENGTH)


CONFIG = PretrainConfig(
    corpus=corpus_named("igsm", {"op_min": 2, "op_max": 4}),
    rows=8,
    row_length=128,
    op_start=3,
    op_ramp_tokens=4096,
    prompt_weight=0.2,
)


def documents(batch: Batch, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Problem and solution of each document of a batch."""
    texts = [tokenizer.decode(batch.token_ids[row, columns].tolist()) for row, columns in placed(batch)]
    pairs = [
        text.removesuffix("<|endoftext|>").split("\n") for text in texts if text.endswith("<|endoftext|>")
    ]
    assert len(pairs) == len(texts)
    return [(problem, solution) for problem, solution in pairs]


def test_batch_holds_problems_with_their_reference_solutions(tokenizer: Tokenizer) -> None:
    batch = batch_source(CONFIG, tokenizer, rank=0, processes=1)(0)
    texts = documents(batch, tokenizer)
    assert len(texts) >= 8
    assert all(check_solution(problem, solution).correct for problem, solution in texts)
    assert batch.tokens > 0.85 * 8 * 128
    for row, columns in placed(batch):  # weights change where the solution begins, at its line break
        ids = batch.token_ids[row, columns].tolist()
        prompt_length = ids.index(tokenizer.phrase_id("\n"))
        weights = batch.weights[row, columns]
        assert weights[: prompt_length - 1].tolist() == [np.float32(0.2)] * (prompt_length - 1)
        assert weights[prompt_length - 1 : -1].tolist() == [1.0] * (len(ids) - prompt_length)


def test_ops_grow_with_the_steps(tokenizer: Tokenizer) -> None:
    batches = batch_source(CONFIG, tokenizer, rank=0, processes=1)

    def ops(step: int) -> set[int]:
        return {solution.count(".") for _, solution in documents(batches(step), tokenizer)}

    assert set.union(*(ops(step) for step in range(2))) == {2, 3}
    assert set.union(*(ops(step) for step in range(4, 8))) == {2, 3, 4}


def test_ops_are_drawn_as_often_as_their_weights_say(tokenizer: Tokenizer) -> None:
    config = replace(CONFIG, op_weights=(1.0, 2.0, 5.0), op_start=2, op_ramp_tokens=1024)
    assert config.op_weights_at(0) == {2: 1.0}
    assert config.op_weights_at(1) == {2: 1.0, 3: 2.0, 4: 5.0}
    batches = batch_source(replace(config, rows=200, op_ramp_tokens=0), tokenizer, rank=0, processes=1)
    drawn = Counter(solution.count(".") for _, solution in documents(batches(0), tokenizer))
    assert (
        chisquare([drawn[op] for op in (2, 3, 4)], [drawn.total() * w / 8 for w in (1, 2, 5)]).pvalue > 0.001
    )


def test_batches_depend_on_seed_step_and_rank_only(tokenizer: Tokenizer) -> None:
    def batch(seed: int = 0, step: int = 5, rank: int = 0) -> bytes:
        values = {**CONFIG.to_card(), "seed": seed}
        source = batch_source(PretrainConfig.from_card(values), tokenizer, rank, processes=2)
        if step == 5:
            list(islice(map(source, range(3)), 3))  # what was drawn before makes no difference
        return source(step).token_ids.tobytes()

    assert batch() == batch()
    assert len({batch(), batch(seed=1), batch(step=6), batch(rank=1)}) == 4


def test_processes_share_the_rows(tokenizer: Tokenizer) -> None:
    assert batch_source(CONFIG, tokenizer, rank=1, processes=4)(0).token_ids.shape == (2, 128)
