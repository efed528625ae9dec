"""Whatever the architecture, rows of a batch are what transformers computes of each text alone."""

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from models.hub.batched import BatchedModel
from models.hub.choosing import hub_model
from models.hub.pages import PAGE
from models.hub.row_by_row import RowByRowModel
from models.language_model import LanguageModel, PrefillRow, StepOutput
from tests.models.architectures import CONFIGS, ONE_BY_ONE, VOCABULARY, WINDOW, network_of

LAYERS = (0, 1, 2)
TOLERANCE = 1e-5
"""Of the largest number of a row, if that is beyond 1, in float32."""


def whole(network: Any, ids: list[int]) -> tuple[Tensor, list[Tensor]]:
    """Last logits of a text, and the states of layers 0 and 1 there, by transformers."""
    with torch.inference_mode():
        output = network(torch.tensor([ids]), output_hidden_states=True, use_cache=False)
    return output.logits[0, -1].float(), [states[0, -1].float() for states in output.hidden_states[:2]]


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max()) / max(1.0, float(expected.abs().max()))


class Program:
    """Texts in slots of a cache, changed at random; every output is compared with the text alone."""

    def __init__(self, network: Any, model: LanguageModel[Any], seed: int) -> None:
        self.network, self.model = network, model
        self.random = Random(seed)
        self.cache = model.new_cache(5, 64)
        self.texts: dict[int, list[int]] = {slot: [] for slot in range(5)}
        self.worst = 0.0

    def tokens(self, most: int) -> list[int]:
        return self.random.choices(range(3, VOCABULARY), k=self.random.randint(1, most))

    def prefill(self, most: int) -> None:
        slots = self.random.sample(range(5), k=self.random.randint(1, 5))
        rows: list[PrefillRow] = []
        for slot in slots:
            start = self.random.randint(0, min(len(self.texts[slot]), 20))  # mostly a rewind
            new = self.tokens(most)
            self.texts[slot] = self.texts[slot][:start] + new
            rows.append(PrefillRow(slot, start, tuple(new)))
        self.compare(slots, self.model.prefill(self.cache, rows, LAYERS))

    def step(self, most: int = 4) -> None:
        slots = [slot for slot in self.random.sample(range(5), k=most) if self.texts[slot]]
        positions = [self.random.choice((len(self.texts[slot]), 1)) for slot in slots]
        ids = [self.random.randrange(3, VOCABULARY) for _ in slots]
        for slot, position, token in zip(slots, positions, ids, strict=True):
            self.texts[slot] = [*self.texts[slot][:position], token]
        if slots:
            self.compare(slots, self.model.step(self.cache, ids, slots, positions, LAYERS))

    def fork(self) -> None:
        source, target = self.random.sample(range(5), k=2)
        length = self.random.randint(0, len(self.texts[source]))
        self.cache.copy(source, target, 0, length)
        self.texts[target] = self.texts[source][:length]

    def compare(self, slots: list[int], output: StepOutput) -> None:
        assert output.logits.dtype == torch.float32
        for row, slot in enumerate(slots):
            logits, states = whole(self.network, self.texts[slot])
            found = [output.logits[row], *(output.hidden[layer][row] for layer in (0, 1))]
            self.worst = max(self.worst, *map(difference, found, (logits, *states)))

    def run(self) -> float:
        """The largest difference from transformers."""
        self.prefill(3 * WINDOW)
        for _ in range(3):
            self.step()
            self.fork()
            self.prefill(WINDOW)
            self.step()
            self.step(most=1)
        return self.worst


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.filterwarnings("ignore")
def test_any_history_is_what_transformers_computes_of_the_text(kind: str) -> None:
    network = network_of(kind)
    model = hub_model(network, kind)
    assert isinstance(model, RowByRowModel if kind in ONE_BY_ONE else BatchedModel)
    program = Program(network, model, seed=3)
    assert program.run() < TOLERANCE
    logits, _ = whole(network, program.texts[0])
    assert logits.std() > 0.1  # a network so quiet that everything agrees would show nothing


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2", "gpt_oss"])
@pytest.mark.filterwarnings("ignore")
def test_bfloat16_is_as_close_as_batches_of_transformers_are(kind: str) -> None:
    """The yardstick: the same text alone, and as one of a batch that transformers computes."""
    network = network_of(kind).to(torch.bfloat16)
    model = hub_model(network, kind)
    assert isinstance(model, BatchedModel)
    program = Program(network, model, seed=4)
    worst = program.run()
    random, own = Random("yardstick"), 0.0
    for _ in range(6):
        texts = torch.tensor([random.choices(range(3, VOCABULARY), k=2 * WINDOW) for _ in range(5)])
        with torch.inference_mode():
            together = network(texts, use_cache=False).logits[:, -1].float()
        alone = [whole(network, text)[0] for text in texts.tolist()]
        own = max(own, *map(difference, together, alone))
    assert worst < max(3 * own, 2.0**-6), (worst, own)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_row_alone_that_goes_on_from_anothers_beginning(kind: str) -> None:
    """It lies in several pieces then, and some networks make a mask by how long its past is."""
    model = hub_model(network_of(kind), kind)
    ids = tuple(range(10, 10 + PAGE + 8))
    cache = model.new_cache(2, len(ids))
    model.prefill(cache, [PrefillRow(0, 0, ids[:-2])])
    cache.copy(0, 1, 0, PAGE + 4)
    logits = [
        model.prefill(cache, [PrefillRow(1, PAGE + 4, ids[PAGE + 4 : -1])]).logits[0],
        model.step(cache, ids[-1:], [1], [len(ids) - 1]).logits[0],
    ]
    expected = model.score(ids).logits[-2:]
    assert max(map(difference, logits, expected)) < TOLERANCE


def test_rows_are_reported_in_their_order_whatever_their_lengths() -> None:
    network = network_of("llama")
    model = hub_model(network, "llama")
    random = Random("lengths")
    texts = [random.choices(range(3, VOCABULARY), k=length) for length in (1, 40, 2, 33, 1, 9)]
    output = model.prefill(
        model.new_cache(6, 64), [PrefillRow(slot, 0, tuple(text)) for slot, text in enumerate(texts)], LAYERS
    )
    for row, text in enumerate(texts):
        logits, states = whole(network, text)
        assert difference(output.logits[row], logits) < TOLERANCE
        assert difference(output.hidden[1][row], states[1]) < TOLERANCE


def test_numbers_that_are_none_stay_in_their_row() -> None:
    network = network_of("llama")
    network.get_input_embeddings().weight[5] = torch.nan
    model = hub_model(network, "llama")
    assert isinstance(model, BatchedModel)
    cache = model.new_cache(2, 64)
    own, other = [7, 8, 9, 10], [5] * 12
    model.prefill(cache, [PrefillRow(0, 0, tuple(own[:-1])), PrefillRow(1, 0, tuple(other))])
    output = model.step(cache, [own[-1], 6], [0, 1], [3, 12])
    assert difference(output.logits[0], whole(network, own)[0]) < TOLERANCE
    assert output.logits[1].isnan().all()
