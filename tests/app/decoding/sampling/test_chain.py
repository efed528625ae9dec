"""Whole chains: the documented order, rows that do not notice their neighbours, greedy rows."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.history import History
from app.decoding.sampling.params import SamplingParams
from tests.app.decoding.sampling.transformers_reference import process

VOCAB = 120
CPU = torch.device("cpu")
PARAMS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 1.7]),
    top_k=st.sampled_from([0, 1, 5, 500]),
    top_p=st.sampled_from([0.0, 0.4, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.02, 0.3]),
    typical_p=st.sampled_from([0.3, 0.9, 1.0]),
    presence_penalty=st.sampled_from([0.0, 1.5]),
    frequency_penalty=st.sampled_from([0.0, -0.7]),
    repetition_penalty=st.sampled_from([1.0, 1.4]),
    logit_bias=st.dictionaries(st.integers(0, VOCAB - 1), st.floats(-20, 20), max_size=3),
)


def logits_of(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, VOCAB, generator=torch.Generator().manual_seed(seed)) * 3


def history_of(row: int) -> History:
    return History([row, 1, 1], [2, 2, row + 5])


def choose(
    params: list[SamplingParams], logits: torch.Tensor, points: list[float], first: int = 0
) -> list[int]:
    chain = SamplingChain(params, CPU)
    uniforms = [points[row] for row in chain.sampled]
    histories = [history_of(first + row) for row in chain.penalised]
    return chain.choose(logits, uniforms, histories).ids.tolist()


def test_the_order_is_the_documented_one() -> None:
    """Each later step depends on the earlier ones, so another order gives another distribution."""
    params = SamplingParams(
        temperature=0.6,
        top_k=30,
        top_p=0.85,
        min_p=0.03,
        typical_p=0.95,
        repetition_penalty=1.3,
        logit_bias={4: 3.0, 9: -2.0},
    )
    processors = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(1.3),
            SequenceBiasLogitsProcessor([[[4], 3.0], [[9], -2.0]]),
            TemperatureLogitsWarper(0.6),
            TopKLogitsWarper(30),
            TypicalLogitsWarper(0.95),
            TopPLogitsWarper(0.85),
            MinPLogitsWarper(0.03),
        ]
    )
    for seed in range(20):
        logits = logits_of(1, seed)
        history = History([3, 4, 4], [9, 50])
        chain = SamplingChain([params], CPU)
        ours = chain.cut(chain.adjust(logits, [history])).softmax(-1)
        ids = [[*history.prompt_ids, *history.completion_ids]]
        theirs = process(processors, logits, ids).softmax(-1)
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@settings(max_examples=60)
@given(st.lists(st.tuples(PARAMS, st.floats(0, 0.999)), min_size=1, max_size=7))
def test_a_row_gets_what_it_gets_alone(rows: list[tuple[SamplingParams, float]]) -> None:
    params, points = [each[0] for each in rows], [each[1] for each in rows]
    logits = logits_of(len(rows))
    before = logits.clone()
    together = choose(params, logits, points)
    alone = [
        choose([params[row]], logits[row : row + 1], [points[row]], first=row)[0] for row in range(len(rows))
    ]
    assert together == alone
    assert torch.equal(logits, before)


def test_neutral_rows_keep_their_logits_bit_for_bit() -> None:
    logits = logits_of(3)
    busy = SamplingParams(temperature=0.5, top_k=3, repetition_penalty=2.0, logit_bias={1: 1.0})
    chain = SamplingChain([SamplingParams(), busy, SamplingParams()], CPU)
    result = chain.cut(chain.adjust(logits, [history_of(1)]))
    assert torch.equal(result[[0, 2]], logits[[0, 2]])
    assert (result[1] > -math.inf).sum() == 3


def test_greedy_takes_the_first_of_equals_after_penalties_and_bias() -> None:
    greedy = SamplingParams(temperature=0.0)
    logits = torch.tensor([[1.0, 5.0, 5.0, 2.0]])
    assert choose([greedy], logits, [0.9]) == [1]
    assert choose([replace(greedy, logit_bias={3: 4.0})], logits, [0.9]) == [3]
    penalised = replace(greedy, presence_penalty=2.0)
    chain = SamplingChain([penalised], CPU)
    assert chain.choose(logits, [], [History([2], [1])]).ids.tolist() == [2]


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.05},
        {"top_k": 1},
        {"top_p": 0.01},
        {"min_p": 0.99},
        {"typical_p": 0.01},
        {"presence_penalty": 2.0},
        {"frequency_penalty": 2.0},
        {"repetition_penalty": 3.0},
        {"logit_bias": {7: 60.0}},
    ],
)
def test_every_parameter_changes_what_is_drawn(change: dict[str, Any]) -> None:
    def draws(params: SamplingParams) -> list[int]:
        logits = logits_of(1).repeat(50, 1)
        likely = int(logits[0].argmax())
        chain = SamplingChain([params] * 50, CPU)
        points = [(row + 0.5) / 50 for row in range(50)]
        return chain.choose(logits, points, [History([1], [likely])] * len(chain.penalised)).ids.tolist()

    assert draws(replace(SamplingParams(), **change)) != draws(SamplingParams())
