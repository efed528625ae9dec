"""Texts of a network with int8 weights: the same to the last bit in any company, branches among them."""

import pytest

from app.decoding.strategies import Beam, Sample
from app.engine.types import GenerationRequest
from models.decoder import Decoder
from models.native.native_decoder import NativeDecoder
from tests.app.engine.tiny import END, Result, ask, collect, tiny_engine, tiny_network
from tests.models.native.compiled import needs_native

pytestmark = needs_native


@pytest.fixture(scope="module")
def int8() -> NativeDecoder:
    return NativeDecoder(tiny_network(), "tiny", END, int8=True)


def asked(index: int) -> GenerationRequest:
    prompt = [3, 1, 4, *range(20, 20 + 3 * index)]
    strategy = Beam(width=3) if index % 3 == 0 else Sample()
    return ask(prompt, strategy, signals=("entropy", "varentropy", "margin"), top_logprobs=2, seed=index)


@pytest.mark.parametrize("rows", [3, 16])  # fewer than the branches, so that they are rebuilt, and more
def test_a_text_is_the_same_to_the_last_bit_alone_and_among_others(int8: NativeDecoder, rows: int) -> None:
    requests = [asked(index) for index in range(12)]
    with tiny_engine(int8, max_rows=rows) as engine:
        together: list[Result] = [collect(each) for each in [engine.submit(each) for each in requests]]
        alone = [collect(engine.submit(each)) for each in requests]
    for mine, theirs in zip(together, alone, strict=True):
        assert mine.only.tokens == theirs.only.tokens


def test_greedy_texts_are_those_of_torch_with_the_same_weights(int8: NativeDecoder) -> None:
    reference = Decoder(tiny_network(), "tiny", END, int8=True)
    requests = [ask([3, 1, index], Beam(width=1)) for index in range(5)]
    texts: list[list[list[int]]] = []
    for model in (int8, reference):
        with tiny_engine(model) as engine:
            texts.append([collect(engine.submit(each)).only.ids for each in requests])
    assert texts[0] == texts[1]
