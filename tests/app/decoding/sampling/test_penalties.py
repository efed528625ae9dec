"""Penalties and bias against transformers' processors and a loop over tokens."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
)

from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.history import History
from app.decoding.sampling.params import SamplingParams
from app.decoding.sampling.penalties import (
    apply_count_penalties,
    apply_logit_bias,
    apply_repetition_penalty,
    ban_tokens,
    count_tokens,
    ngram_continuations,
)
from tests.app.decoding.sampling.transformers_reference import process

VOCAB = 9
IDS = st.lists(st.integers(0, VOCAB - 1), max_size=20)
CPU = torch.device("cpu")


def logits_of(rows: int) -> torch.Tensor:
    return torch.randn(rows, VOCAB, generator=torch.Generator().manual_seed(3)) * 3


@given(st.lists(IDS, min_size=1, max_size=4))
def test_counts_are_counters(rows: list[list[int]]) -> None:
    counts = count_tokens(rows, VOCAB, CPU)
    for row, ids in enumerate(rows):
        counter = Counter(ids)
        assert counts[row].tolist() == [counter[token_id] for token_id in range(VOCAB)]


@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.3, 5.0])
def test_repetition_penalty_is_that_of_transformers(penalty: float) -> None:
    ids = [[1, 1, 4], [0, 7, 8]]
    logits = logits_of(2)
    before = logits.clone()
    ours = apply_repetition_penalty(
        logits, count_tokens(ids, VOCAB, CPU) > 0, torch.tensor([penalty, penalty])
    )
    theirs = process(RepetitionPenaltyLogitsProcessor(penalty), logits, ids)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert torch.equal(logits, before)


@given(IDS, st.floats(-2, 2), st.floats(-2, 2))
def test_count_penalties_follow_openais_formula(ids: list[int], frequency: float, presence: float) -> None:
    logits = logits_of(1)
    counts = count_tokens([ids], VOCAB, CPU)
    result = apply_count_penalties(logits, counts, torch.tensor([frequency]), torch.tensor([presence]))
    for token_id in range(VOCAB):
        times = ids.count(token_id)
        expected = logits[0, token_id].item() - frequency * times - (presence if times else 0.0)
        assert result[0, token_id].item() == pytest.approx(expected, abs=1e-5)


def test_logit_bias_is_transformers_sequence_bias_of_single_tokens() -> None:
    logits = logits_of(3)
    before = logits.clone()
    bias = {2: 5.0, 7: -100.0}
    ours = apply_logit_bias(logits, [bias, {}, bias])
    processor = SequenceBiasLogitsProcessor([[[token_id], value] for token_id, value in bias.items()])
    theirs = process(processor, logits)
    torch.testing.assert_close(ours[[0, 2]], theirs[[0, 2]], atol=1e-6, rtol=0)
    assert torch.equal(ours[1], logits[1])
    assert torch.equal(logits, before)


@given(st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=40), st.integers(1, 5))
def test_no_repeat_ngram_is_that_of_transformers(ids: list[int], size: int) -> None:
    logits = logits_of(1)
    before = logits.clone()
    ours = ban_tokens(logits, [ngram_continuations(ids, size)])
    theirs = process(NoRepeatNGramLogitsProcessor(size), logits, [ids])
    # Where theirs leaves nothing to draw, ours leaves everything.
    assert torch.equal(ours, logits if bool(theirs.isneginf().all()) else theirs)
    assert torch.equal(logits, before)


def test_banning_spares_rows_that_would_have_nothing_left() -> None:
    logits = torch.tensor([[0.0, float("-inf"), 2.0], [0.0, 1.0, 2.0]])
    banned = ban_tokens(logits, [[0, 2], [0, 2]])
    assert banned.tolist() == [logits[0].tolist(), [float("-inf"), 1.0, float("-inf")]]


def test_whole_numbers_are_numbers() -> None:
    params = SamplingParams(dry_multiplier=100, dry_base=1, dry_allowed_length=1, logit_bias={2: 1})
    chain = SamplingChain([params], CPU)
    logits = chain.adjust(torch.zeros(1, 3), [History([0], [1, 0])])
    assert logits.tolist() == [[0.0, -100.0, 1.0]]
