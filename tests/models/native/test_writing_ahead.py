"""Several tokens in one call: the same as token by token, to the last bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import CapacityError
from models.language_model import PrefillRow
from models.native.native_decoder import NativeDecoder
from models.writing_ahead import Halt, RowAhead, writes_ahead
from tests.models.native.compiled import needs_native
from tests.models.tiny import CONTEXT, random_ids, tiny_network

pytestmark = needs_native

LAYERS = (0, 2)


@pytest.fixture(scope="module", params=["float32", "int8"])
def model(request: pytest.FixtureRequest) -> NativeDecoder:
    return NativeDecoder(tiny_network(), "tiny", None, int8=request.param == "int8")


def uniforms(count: int, seed: int) -> list[float]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, dtype=torch.float64, generator=generator).tolist()


def token_by_token(model: NativeDecoder, prompt: list[int], row: RowAhead) -> list[tuple[int, list[float]]]:
    """What a row is to get: ids, each with its measures, one step after the other."""
    cache = model.new_cache(1, CONTEXT)
    model.prefill(cache, [PrefillRow(0, 0, tuple(prompt))])
    token_id, written = row.token_id, list[tuple[int, list[float]]]()
    for number, each in enumerate(row.uniforms):
        found = model.step(cache, [token_id], [0], [row.position + number])
        logits = found.logits
        if row.temperature:
            logits = (logits - logits.amax(-1, keepdim=True)) / torch.tensor([[row.temperature]])
            token_id = int(model.draw(logits, torch.tensor([each], dtype=torch.float64)))
        else:
            token_id = int(logits.argmax())
        assert found.measures is not None
        written.append((token_id, found.measures[0].tolist()))
        if token_id in row.stops:
            break
    return written


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from((0.0, 0.7, 1.0))), min_size=1, max_size=7))
@settings(max_examples=15)
def test_a_row_gets_what_it_gets_token_by_token(model: NativeDecoder, asked: list[tuple[int, float]]) -> None:
    prompts = [random_ids(3 + 5 * slot % 17, slot) for slot in range(len(asked))]
    cache = model.new_cache(len(asked), CONTEXT)
    model.prefill(cache, [PrefillRow(slot, 0, tuple(ids)) for slot, ids in enumerate(prompts)])
    stops = list(range(0, 400, 9))  # some texts end early
    rows = [
        RowAhead(9, slot, len(prompts[slot]), uniforms(count, slot), temperature, stops)
        for slot, (count, temperature) in enumerate(asked)
    ]
    written = model.write(cache, rows, LAYERS, Halt())
    for number, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        places = [place for place, of in enumerate(written.rows) if of == number]
        expected = token_by_token(model, prompt, row)
        assert [(written.ids[place], written.measures[place]) for place in places] == expected
        ids = [*prompt, 9, *(token_id for token_id, _ in expected)]
        whole = model.score(ids, LAYERS)
        for at, place in enumerate(places, start=len(prompt)):
            logprob = whole.logits[at].log_softmax(-1)[ids[at + 1]].item()
            assert written.log_probs[place] == pytest.approx(logprob, abs=1e-4)
            for index, layer in enumerate(LAYERS):
                assert written.states[place, index].tolist() == whole.hidden[layer][at].tolist()


def test_who_is_halted_gets_one_token(model: NativeDecoder) -> None:
    cache, halt = model.new_cache(2, CONTEXT), Halt()
    halt.ask()
    rows = [RowAhead(5, slot, 0, uniforms(6, slot), 1.0, ()) for slot in range(2)]
    assert model.write(cache, rows, (), halt).rows == [0, 1]
    halt.clear()
    assert len(model.write(cache, rows, (), halt).rows) == 12


def test_who_does_not_fit_is_refused_and_changes_nothing(model: NativeDecoder) -> None:
    cache = model.new_cache(2, 8)
    keys = cache.keys.clone()
    fits = RowAhead(5, 0, 0, uniforms(2, 0), 1.0, ())
    for misfit in (
        RowAhead(5, 1, 6, uniforms(3, 0), 1.0, ()),
        RowAhead(400, 1, 0, uniforms(2, 0), 1.0, ()),
        RowAhead(5, 2, 0, uniforms(2, 0), 1.0, ()),
    ):
        with pytest.raises(CapacityError, match=f"token {misfit.token_id} at position {misfit.position}"):
            model.write(cache, [fits, misfit], (), Halt())
    assert torch.equal(cache.keys, keys)


@given(st.integers(1, 70), st.integers(0, 1000))
@settings(max_examples=40)
def test_a_draw_is_the_inverse_of_the_distribution(model: NativeDecoder, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(9, size, generator=generator) * 3
    logits[0, : size // 2] = -torch.inf
    points = torch.rand(9, dtype=torch.float64, generator=generator)
    ids = model.draw(logits, points)
    ends = logits.double().softmax(-1).cumsum(-1)
    above = ends.gather(1, ids[:, None])[:, 0]
    below = above - logits.double().softmax(-1).gather(1, ids[:, None])[:, 0]
    assert bool(((below - 1e-6 <= points) & (points <= above + 1e-6)).all())


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_nothing_is_drawn_from_what_is_no_number(model: NativeDecoder, wrong: float) -> None:
    logits = torch.zeros(3, 20)
    logits[1, 4] = wrong
    logits[2] = -torch.inf
    assert model.draw(logits, torch.full((3,), 0.5, dtype=torch.float64)).tolist() == [10, 20, 20]


def test_only_a_model_that_writes_ahead_says_so(model: NativeDecoder) -> None:
    assert writes_ahead(model) is model
    assert writes_ahead(object()) is None
