"""What the native step promises beyond `LanguageModel`: results to the last bit, signals, and refusals."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decoder import Decoder
from models.errors import CapacityError, SpecError
from models.gpt2 import GPT2, GPT2Config, Positions
from models.language_model import MEASURES, PrefillRow, StepOutput
from models.native.kernel import use_native
from models.native.native_decoder import NativeDecoder
from probes.inputs import token_signals
from tests.models.native.compiled import needs_native
from tests.models.tiny import CONTEXT, random_ids, randomise, tiny_network

pytestmark = needs_native


def stored_network() -> GPT2:
    """The tiny network as a checkpoint holds it."""
    network = tiny_network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.bfloat16())
    return network


@pytest.fixture(scope="module", params=["any weights", "stored weights", "int8 weights"])
def model(request: pytest.FixtureRequest) -> NativeDecoder:
    network = stored_network() if request.param == "stored weights" else tiny_network()
    return NativeDecoder(network, "tiny", None, int8=request.param == "int8 weights")


def rows_of(texts: list[list[int]]) -> list[PrefillRow]:
    return [PrefillRow(slot, 0, tuple(ids)) for slot, ids in enumerate(texts)]


def assert_same(output: StepOutput, row: int, text: StepOutput, position: int) -> None:
    assert torch.equal(output.logits[row], text.logits[position])
    assert output.measures is not None
    assert text.measures is not None
    assert torch.equal(output.measures[row], text.measures[position])
    for layer, states in output.hidden.items():
        assert torch.equal(states[row], text.hidden[layer][position])


@pytest.mark.parametrize("rows", range(1, 15))  # every number of rows that a kernel takes at once, and more
def test_a_row_is_the_same_to_the_last_bit_in_any_company(model: NativeDecoder, rows: int) -> None:
    texts = [random_ids(3 + 5 * seed % 17, seed) for seed in range(rows)]
    cache = model.new_cache(rows, CONTEXT)
    prefilled = model.prefill(cache, rows_of(texts), (0, 1, 2))
    stepped = model.step(cache, [9] * rows, range(rows), [len(ids) for ids in texts], (0, 1, 2))
    for row, ids in enumerate(texts):
        alone = model.score([*ids, 9], (0, 1, 2))
        assert_same(prefilled, row, alone, -2)
        assert_same(stepped, row, alone, -1)


@given(st.lists(st.integers(1, CONTEXT - 1), max_size=6, unique=True))
@settings(max_examples=25)
def test_where_a_prompt_is_cut_changes_no_bit(model: NativeDecoder, cuts: list[int]) -> None:
    ids = random_ids(CONTEXT, 3)
    whole = model.score(ids)
    cache = model.new_cache(1, CONTEXT)
    for start, end in pairwise([0, *sorted(cuts), CONTEXT]):
        output = model.prefill(cache, [PrefillRow(0, start, tuple(ids[start:end]))])
        assert_same(output, 0, whole, end - 1)


@pytest.mark.parametrize("int8", [False, True])
def test_threads_change_no_bit(int8: bool) -> None:
    network = tiny_network()
    outputs: list[StepOutput] = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            model = NativeDecoder(network, "tiny", None, int8=int8)
        finally:
            torch.set_num_threads(before)
        cache = model.new_cache(5, CONTEXT)
        model.prefill(cache, rows_of([random_ids(30, seed) for seed in range(5)]))
        outputs.append(model.step(cache, range(5), range(5), [30] * 5, (2,)))
    for row in range(5):
        assert_same(outputs[0], row, outputs[1], row)


def test_weights_that_are_kept_in_half_the_memory_give_the_same_bits() -> None:
    network = stored_network()
    half = NativeDecoder(network, "half", None).score(random_ids(9))
    with torch.no_grad():
        network.token_embedding.weight[399, 5] += 1e-6  # that of a token which the text does not have
    whole = NativeDecoder(network, "whole", None).score(random_ids(9))
    assert torch.equal(half.logits[:, :399], whole.logits[:, :399])
    assert not torch.equal(half.logits, whole.logits)


def test_measures_are_the_signals_of_the_logits(model: NativeDecoder) -> None:
    ids = random_ids(CONTEXT)
    output = model.score(ids)
    assert output.measures is not None
    normaliser, *signals, confidence = output.measures.unbind(-1)
    torch.testing.assert_close(normaliser, output.logits.logsumexp(-1))
    expected = torch.from_numpy(token_signals(output.logits, torch.tensor(ids))).float()
    assert MEASURES[1:] == ("entropy", "varentropy", "max_probability", "margin", "confidence")
    likeliest = output.logits.log_softmax(-1).topk(20).values
    torch.testing.assert_close(confidence, -likeliest.mean(-1))
    for index, signal in enumerate(signals):
        torch.testing.assert_close(signal, expected[:, index], atol=1e-4, rtol=1e-4)


@st.composite
def shapes(draw: st.DrawFn) -> GPT2Config:
    """Networks of any size: widths that fill no vector, heads of any size, vocabularies of any."""
    positions: Positions = draw(st.sampled_from(("learned", "rotary")))
    heads, size = draw(st.integers(1, 4)), draw(st.integers(1, 20))
    width = heads * size * (2 if positions == "rotary" else 1)
    return GPT2Config(
        vocab_size=draw(st.integers(1, 70)),
        context_length=draw(st.integers(1, 40)),
        d_model=width,
        n_layers=draw(st.integers(1, 3)),
        n_heads=heads,
        positions=positions,
    )


@given(
    shapes(),
    st.integers(1, 9),
    st.integers(0, 100),
    st.sampled_from(("any weights", "stored weights", "int8")),
)
@settings(max_examples=40)
def test_a_network_of_any_shape_is_computed_as_by_torch(
    config: GPT2Config, rows: int, seed: int, kind: str
) -> None:
    network = GPT2(config)
    randomise(network, seed)
    if kind == "stored weights":
        network = network.bfloat16().float()
    int8 = kind == "int8"
    native, ours = NativeDecoder(network, "any", None, int8=int8), Decoder(network, "any", None, int8=int8)
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, config.context_length + 1, (rows,), generator=generator).tolist()
    texts = [torch.randint(config.vocab_size, (n,), generator=generator).tolist() for n in lengths]
    output = native.prefill(
        native.new_cache(rows, config.context_length), rows_of(texts), (0, config.n_layers)
    )
    expected = ours.prefill(ours.new_cache(rows, config.context_length), rows_of(texts), (0, config.n_layers))
    pairs = [(output.logits, expected.logits)]
    pairs += [(states, expected.hidden[layer]) for layer, states in output.hidden.items()]
    for found, right in pairs:
        # With int8, what is multiplied is rounded to 16 bits of the largest number.
        scale = max(1.0, float(right.abs().max())) if int8 else 1.0
        torch.testing.assert_close(found, right, atol=2e-3 * scale if int8 else 1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("token_id", "slot", "position"),
    [(400, 0, 3), (-1, 0, 3), (5, 2, 3), (5, -1, 3), (5, 0, 8), (5, 0, -1)],
)
def test_a_token_that_does_not_fit_is_refused_and_changes_nothing(
    model: NativeDecoder, token_id: int, slot: int, position: int
) -> None:
    cache = model.new_cache(2, 8)
    model.prefill(cache, rows_of([[1, 2, 3], [4, 5, 6]]))
    keys = cache.keys.clone()
    with pytest.raises(CapacityError, match=f"token {token_id} at position {position} of slot {slot}"):
        model.step(cache, [7, token_id], [1, slot], [3, position])
    assert torch.equal(cache.keys, keys)


def test_two_tokens_at_one_place_are_refused(model: NativeDecoder) -> None:
    with pytest.raises(CapacityError, match="follow each other"):
        model.step(model.new_cache(2, 8), [7, 8], [1, 1], [3, 3])


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_none_stay_so(int8: bool, number: float) -> None:
    network = tiny_network()
    with torch.no_grad():
        network.token_embedding.weight[7, 3] = number
    output = NativeDecoder(network, "broken", None, int8=int8).score([7, 8])
    assert output.measures is not None
    assert bool(output.measures.isnan().all())


def test_sums_of_int8_hold_whatever_the_weights() -> None:
    """With all weights and inputs at their largest: what overflows 32 bits would change its sign."""
    config = GPT2Config(
        vocab_size=4, context_length=4, d_model=600, n_layers=1, n_heads=1, positions="learned"
    )
    network = GPT2(config)
    randomise(network, 0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".mlp_" in name and parameter.dim() == 2:
                parameter.fill_(0.05)
    native, ours = (each(network, "large", None, int8=True) for each in (NativeDecoder, Decoder))
    found, expected = (each.score([1, 2, 3], (1,)).hidden[1] for each in (native, ours))
    torch.testing.assert_close(found, expected, atol=0.1, rtol=1e-2)


def test_the_native_step_runs_on_a_cpu_only() -> None:
    assert use_native("auto", "cpu")
    assert not use_native("auto", "cuda")
    with pytest.raises(SpecError, match="on a CPU, not on cuda"):
        use_native("native", "cuda")
