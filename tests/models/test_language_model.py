"""Our decoder and the networks of transformers are one interface: the same tests, with transformers' own
forward pass over a whole text as the oracle."""

from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models import checkpoint
from models.decoder import Decoder
from models.errors import CapacityError, SpecError
from models.hub.batched import BatchedModel
from models.language_model import KVCache, LanguageModel, PrefillRow, StepOutput
from models.native.native_decoder import NativeDecoder
from models.tokenizer import Tokenizer
from tests.models.hub import FOREIGN, KINDS, Reference, write_checkpoint
from tests.models.native.compiled import needs_native
from tests.models.tiny import CONTEXT, random_ids

LAYERS = (0, 1, 2)
TOLERANCE = 1e-4
"""Largest difference from transformers, on logits and states of order 1, in float32."""
INT8_TOLERANCE = 1e-2
"""The same where the native step rounds what it multiplies with int8 weights, to 16 bits."""
COMPANY_TOLERANCE = 1e-5
"""Largest difference that the neighbours in a batch may make, of a row's largest number, if over 1: matrix
products of other shapes round differently in the last bits."""


@dataclass(frozen=True)
class Subject:
    """A model under test and its oracle, and by how much it may differ: from the oracle, from itself after
    another history, and from itself in other company."""

    model: LanguageModel[Any]
    reference: Reference
    tolerance: float
    own_tolerance: float = TOLERANCE
    company_tolerance: float = COMPANY_TOLERANCE

    def assert_last(self, output: StepOutput, row: int, token_ids: list[int]) -> None:
        """One row of an output is what transformers computes at the end of the text."""
        logits, states = self.reference.score(token_ids)
        torch.testing.assert_close(output.logits[row], logits[-1], atol=self.tolerance, rtol=0)
        for layer, hidden in output.hidden.items():
            torch.testing.assert_close(hidden[row], states[layer][-1], atol=self.tolerance, rtol=0)

    def assert_close_in_company(self, found: Tensor, alone: Tensor) -> None:
        scale = max(1.0, float(alone.abs().max()))
        torch.testing.assert_close(found, alone, atol=self.company_tolerance * scale, rtol=0)

    def step(self, cache: KVCache, rows: list[tuple[int, int, int]]) -> StepOutput:
        """Append (slot, position, token) triples."""
        slots, positions, tokens = zip(*rows, strict=True)
        return self.model.step(cache, tokens, slots, positions, LAYERS)


SUBJECTS = (
    *((kind, "torch", "float32") for kind in KINDS),
    *((kind, "torch", "int8") for kind in KINDS if kind not in FOREIGN),
    *(
        pytest.param((kind, "native", precision), marks=needs_native)
        for kind in KINDS
        if kind not in FOREIGN
        for precision in ("float32", "int8")
    ),
)


@pytest.fixture(scope="module", params=SUBJECTS, ids="-".join)
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer
) -> Subject:
    kind, kernel, precision = request.param
    folder: Path = tmp_path_factory.mktemp("checkpoints") / kind
    write_checkpoint(kind, folder, tokenizer)
    model = checkpoint.load(folder, precision=precision, kernel=kernel).model
    ours = NativeDecoder if kernel == "native" else Decoder
    assert isinstance(model, BatchedModel if kind in FOREIGN else ours)
    reference = Reference.load(folder)
    if precision == "int8":
        reference.round_weights()
    return Subject(model, reference, INT8_TOLERANCE if precision == "int8" else TOLERANCE)


def row(slot: int, start: int, token_ids: list[int]) -> PrefillRow:
    return PrefillRow(slot, start, tuple(token_ids))


def test_score_is_transformers_at_every_position_and_layer(subject: Subject) -> None:
    ids = random_ids(CONTEXT)
    logits, states = subject.reference.score(ids)
    output = subject.model.score(ids, LAYERS)
    assert logits.std() > 0.5  # a network so quiet that everything agrees would show nothing
    assert output.logits.dtype == torch.float32
    torch.testing.assert_close(output.logits, logits, atol=subject.tolerance, rtol=0)
    assert list(output.hidden) == list(LAYERS)
    for layer in LAYERS:
        torch.testing.assert_close(output.hidden[layer], states[layer], atol=subject.tolerance, rtol=0)


def test_hidden_states_are_those_asked_for(subject: Subject) -> None:
    ids = random_ids(5)
    assert subject.model.score(ids).hidden == {}
    output = subject.model.score(ids, (2, 0))
    assert list(output.hidden) == [2, 0]
    assert not torch.equal(output.hidden[2], output.hidden[0])


def test_ragged_prefill_then_steps_at_different_positions(subject: Subject) -> None:
    texts = {2: random_ids(7, 1), 0: random_ids(1, 2), 3: random_ids(20, 3)}
    cache = subject.model.new_cache(slots=4, length=30)
    output = subject.model.prefill(cache, [row(slot, 0, ids) for slot, ids in texts.items()], LAYERS)
    for index, ids in enumerate(texts.values()):
        subject.assert_last(output, index, ids)
    for turn in range(3):
        order = (3, 0, 2) if turn % 2 else (0, 2)  # in another order, and not all of them
        rows = [(slot, len(texts[slot]), 11 * turn + slot) for slot in order]
        output = subject.step(cache, rows)
        for index, (slot, _, token) in enumerate(rows):
            texts[slot].append(token)
            subject.assert_last(output, index, texts[slot])


def test_prefill_in_pieces(subject: Subject) -> None:
    ids = random_ids(12)
    cache = subject.model.new_cache(2, 12)
    subject.model.prefill(cache, [row(1, 0, ids[:5])])
    output = subject.model.prefill(cache, [row(0, 0, [1, 2]), row(1, 5, ids[5:])], LAYERS)
    subject.assert_last(output, 1, ids)
    subject.assert_last(output, 0, [1, 2])


def test_extending_in_pieces_has_every_position(subject: Subject) -> None:
    ids = random_ids(CONTEXT)
    cache = subject.model.new_cache(2, CONTEXT)
    subject.model.prefill(cache, [row(0, 0, random_ids(5, 2))])
    ends = (0, 7, 8, 20, CONTEXT)
    pieces = [
        subject.model.extend(cache, row(1, start, ids[start:end]), LAYERS) for start, end in pairwise(ends)
    ]
    logits, states = subject.reference.score(ids)
    found = torch.cat([piece.logits for piece in pieces])
    torch.testing.assert_close(found, logits, atol=subject.tolerance, rtol=0)
    for layer in LAYERS:
        hidden = torch.cat([piece.hidden[layer] for piece in pieces])
        torch.testing.assert_close(hidden, states[layer], atol=subject.tolerance, rtol=0)
    for wrong in (row(1, 3, []), row(2, 0, [1]), row(1, CONTEXT, [1])):
        with pytest.raises(CapacityError):
            subject.model.extend(cache, wrong)


def test_fork_shares_the_prefix_and_nothing_else(subject: Subject) -> None:
    ids = random_ids(9)
    cache = subject.model.new_cache(2, 16)
    subject.model.prefill(cache, [row(0, 0, ids), row(1, 0, random_ids(14, 5))])
    cache.copy(source=0, target=1, start=0, end=6)
    output = subject.step(cache, [(0, 9, 40), (1, 6, 50)])
    subject.assert_last(output, 0, [*ids, 40])
    subject.assert_last(output, 1, [*ids[:6], 50])


def test_what_one_slot_lets_go_of_others_still_have(subject: Subject) -> None:
    ids = random_ids(9)
    cache = subject.model.new_cache(3, 16)
    assert cache.text_bytes == 0
    subject.model.prefill(cache, [row(0, 0, ids)])
    cache.copy(source=0, target=1, start=0, end=9)
    cache.cut(0, 4)
    subject.assert_last(subject.step(cache, [(1, 9, 40)]), 0, [*ids, 40])
    subject.assert_last(subject.step(cache, [(0, 4, 41)]), 0, [*ids[:4], 41])
    assert 0 <= cache.text_bytes <= cache.held_bytes
    cache.cut(0, 0)
    cache.cut(1, 0)
    assert cache.text_bytes == 0
    subject.assert_last(subject.model.prefill(cache, [row(0, 0, ids[:3])], LAYERS), 0, ids[:3])


def test_rewind_forgets_what_came_after(subject: Subject) -> None:
    ids = random_ids(10)
    cache = subject.model.new_cache(1, 16)
    subject.model.prefill(cache, [row(0, 0, ids)])
    subject.assert_last(subject.step(cache, [(0, 4, 77)]), 0, [*ids[:4], 77])
    subject.assert_last(subject.step(cache, [(0, 5, 78)]), 0, [*ids[:4], 77, 78])
    output = subject.model.prefill(cache, [row(0, 0, ids[:2])], LAYERS)
    subject.assert_last(output, 0, ids[:2])


TOKEN = st.integers(0, 399)


@given(data=st.data())
@settings(max_examples=15)
def test_any_history_of_prefills_steps_forks_and_rewinds_equals_a_fresh_pass(
    subject: Subject, data: st.DataObject
) -> None:
    cache = subject.model.new_cache(3, CONTEXT)
    texts: dict[int, list[int]] = {slot: [] for slot in range(3)}
    for _ in range(data.draw(st.integers(1, 5), label="turns")):
        if data.draw(st.booleans(), label="fork"):
            source, target = data.draw(st.permutations(range(3)))[:2]
            length = data.draw(st.integers(0, len(texts[source])), label="length")
            pairs = zip(texts[source][:length], texts[target], strict=False)
            alike = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            cache.copy(source, target, data.draw(st.integers(0, alike), label="already there"), length)
            texts[target] = texts[source][:length]
        slots = data.draw(st.lists(st.sampled_from(range(3)), min_size=1, unique=True), label="slots")
        starts = [data.draw(st.integers(0, len(texts[slot])), label="start") for slot in slots]
        step = data.draw(st.booleans(), label="step")
        pieces = [data.draw(st.lists(TOKEN, min_size=1, max_size=1 if step else 8)) for _ in slots]
        for slot, start, piece in zip(slots, starts, pieces, strict=True):
            texts[slot] = texts[slot][:start] + piece
        if step:
            output = subject.step(
                cache,
                [(slot, start, piece[0]) for slot, start, piece in zip(slots, starts, pieces, strict=True)],
            )
        else:
            rows = [row(*parts) for parts in zip(slots, starts, pieces, strict=True)]
            output = subject.model.prefill(cache, rows, LAYERS)
        for index, slot in enumerate(slots):
            alone = subject.model.score(texts[slot], LAYERS)
            torch.testing.assert_close(
                output.logits[index], alone.logits[-1], atol=subject.own_tolerance, rtol=0
            )
            for layer in LAYERS:
                torch.testing.assert_close(
                    output.hidden[layer][index], alone.hidden[layer][-1], atol=subject.own_tolerance, rtol=0
                )


@given(
    st.lists(st.lists(TOKEN, min_size=1, max_size=CONTEXT - 1), min_size=1, max_size=6),
    st.lists(TOKEN, min_size=1, max_size=CONTEXT - 1),
    st.data(),
)
@settings(max_examples=15)
def test_row_does_not_depend_on_its_neighbours(
    subject: Subject, others: list[list[int]], own: list[int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(others)), label="place")
    texts = [*others[:place], own, *others[place:]]
    together, lonely = subject.model.new_cache(len(texts), CONTEXT), subject.model.new_cache(1, CONTEXT)
    outputs = [
        (
            subject.model.prefill(together, [row(i, 0, ids) for i, ids in enumerate(texts)], LAYERS),
            subject.model.prefill(lonely, [row(0, 0, own)], LAYERS),
        ),
        (
            subject.step(together, [(i, len(ids), 5 + i) for i, ids in enumerate(texts)]),
            subject.step(lonely, [(0, len(own), 5 + place)]),
        ),
    ]
    for crowd, alone in outputs:
        subject.assert_close_in_company(crowd.logits[place], alone.logits[0])
        for layer in LAYERS:
            subject.assert_close_in_company(crowd.hidden[layer][place], alone.hidden[layer][0])


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([], "at least one row"),
        ([row(0, 0, [])], "slot 0: a prefill needs at least one token"),
        ([row(2, 0, [1])], "slot 2 is not one of the cache's slots 0 to 1"),
        ([row(-1, 0, [1])], "slot -1 is not one of"),
        ([row(0, -1, [1])], "slot 0: positions -1 to -1 do not fit the cache's 0 to 7"),
        ([row(0, 7, [1, 2])], "slot 0: positions 7 to 8 do not fit the cache's 0 to 7"),
        ([row(1, 0, [1]), row(1, 1, [1])], "a slot is named twice"),
    ],
)
def test_rows_that_do_not_fit_are_refused(subject: Subject, rows: list[PrefillRow], named: str) -> None:
    with pytest.raises(CapacityError, match=named):
        subject.model.prefill(subject.model.new_cache(2, 8), rows)


@pytest.mark.parametrize(("slots", "length"), [(0, 8), (1, 0), (1, CONTEXT + 1)])
def test_cache_of_an_impossible_size_is_refused(subject: Subject, slots: int, length: int) -> None:
    with pytest.raises(CapacityError, match=rf"a cache of ({slots} slots|{length} positions)"):
        subject.model.new_cache(slots, length)


@pytest.mark.parametrize("length", [0, CONTEXT + 1])
def test_text_of_an_impossible_length_is_refused(subject: Subject, length: int) -> None:
    with pytest.raises(CapacityError, match=f"{length} positions: the model takes 1 to {CONTEXT}"):
        subject.model.score([1] * length)


@pytest.mark.parametrize("layer", [-1, 3])
def test_layer_that_the_model_lacks_is_refused(subject: Subject, layer: int) -> None:
    with pytest.raises(SpecError, match=f"hidden layer {layer} is not one of the model's 0 to 2"):
        subject.model.score([1], (0, layer))


def test_spec_describes_the_network(subject: Subject, request: pytest.FixtureRequest) -> None:
    spec = subject.model.spec
    assert (spec.vocab_size, spec.context_length, spec.d_model, spec.n_layers) == (400, CONTEXT, 32, 2)
    assert spec.parameters == sum(p.numel() for p in subject.reference.network.parameters())
    assert spec.name in request.node.name
    if spec.name in FOREIGN:
        assert spec.end_token_id == 7
