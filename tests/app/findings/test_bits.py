"""Capacity against sums by hand, and rounded weights against another way to round."""

from math import log, log2

import numpy as np
import pytest
import torch

from app.findings.bits import bits_of_people, lost, most_bits, parameters_of, per_parameter
from app.findings.rounding import round_to_nearest, rounded
from app.findings.telling import Told, tell
from models.corpora.bios.biography import biography
from models.corpora.bios.bios import Bios, BiosSettings
from models.corpora.bios.values import ATTRIBUTES
from models.gpt2 import GPT2, GPT2Config
from models.tokenizer import END_OF_TEXT, Tokenizer
from tests.models.tiny import randomise

COMPACT = Bios(BiosSettings(people=100, form="compact", order="fixed", questions=0))
TOKENIZER = COMPACT.make_tokenizer()


@pytest.fixture(scope="module")
def network() -> GPT2:
    network = GPT2(GPT2Config(TOKENIZER.vocab_size, 64, d_model=16, n_layers=2, n_heads=2))
    randomise(network, 3)
    return network.eval()


@pytest.mark.parametrize(("form", "order"), [("compact", "fixed"), ("multi5", "permuted")])
def test_nats_are_those_of_the_text_read_token_by_token(network: GPT2, form: str, order: str) -> None:
    corpus = Bios(COMPACT.settings.model_copy(update={"form": form, "order": order}))
    people = corpus.people.everybody[:70]  # more than one batch
    told = tell(network, TOKENIZER, corpus, people)
    for place in (0, 69):
        person = people[place]
        text = biography(person, 0, corpus.settings.form, corpus.settings.order, "first")
        nats = _nats_by_character(network, TOKENIZER, text)
        assert told.name_nats[place] == pytest.approx(log(128) + sum(nats[: len(person.name)]), rel=1e-4)
        spans = [
            (text.index(f" {value}", len(person.name)), len(value) + 1) for value in person.values.values()
        ]
        assert told.value_nats[place] == pytest.approx(
            sum(sum(nats[start : start + length]) for start, length in spans), rel=1e-4
        )


def _nats_by_character(network: GPT2, tokenizer: Tokenizer, text: str) -> list[float]:
    """Each token's surprisal at its first character, from a pass over what stands before it."""
    ids = tokenizer.encode(text)
    nats: list[float] = []
    for place, token in enumerate(ids):
        given = torch.tensor([ids[:place]]) if place else None
        surprisal = 0.0
        if given is not None:
            logits = network(given, torch.arange(place)[None], torch.zeros_like(given))[0, -1]
            surprisal = -float(torch.log_softmax(logits.detach().double(), -1)[token])
        length = len(tokenizer.token_bytes(token))
        nats += [surprisal, *[0.0] * (length - 1)]
    return nats


def test_right_values_are_those_whose_every_token_is_the_likeliest(network: GPT2) -> None:
    """Of a network that says the same whatever it reads: a value is right where it is the one it says."""
    person = COMPACT.people.everybody[0]
    liked = TOKENIZER.phrase_id(f" {person.values['birth city']}")
    copy = rounded(network, 8)
    with torch.no_grad():
        copy.final_norm.weight.zero_()
        copy.final_norm.bias.copy_(network.token_embedding.weight[liked])
        copy.token_embedding.weight[liked] *= 100
    right = tell(copy, TOKENIZER, COMPACT, COMPACT.people.everybody).right
    same = [other.values["birth city"] == person.values["birth city"] for other in COMPACT.people.everybody]
    assert right[:, ATTRIBUTES.index("birth city")].tolist() == same
    assert right.sum() == sum(same)


def test_bits_of_who_knows_all_and_of_who_knows_nothing() -> None:
    values = 12 * 28 * 64 * 64**3 * 32
    knows_all = Told(np.full(5, log(100)), np.zeros(5), np.ones((5, 5)), frozenset())
    assert bits_of_people(knows_all) == pytest.approx(most_bits(100))
    assert most_bits(100) == pytest.approx(log2(2**20 / 100) + log2(values))
    nothing = Told(np.full(5, log(2**20)), np.full(5, log(values)), np.zeros((5, 5)), frozenset())
    assert bits_of_people(nothing) == pytest.approx(0, abs=1e-9)


def test_only_embeddings_of_tokens_that_stand_in_a_text_are_counted(network: GPT2) -> None:
    told = tell(network, TOKENIZER, COMPACT, COMPACT.people.everybody)
    texts = [biography(person, 0, "compact", "fixed", "first") for person in COMPACT.people.everybody]
    used = {TOKENIZER.phrase_id(END_OF_TEXT), *(token for text in texts for token in TOKENIZER.encode(text))}
    assert told.tokens == used
    blocks = sum(p.numel() for name, p in network.named_parameters() if name != "token_embedding.weight")
    assert parameters_of(network, told.tokens) == blocks + 16 * len(used)


def test_a_rate_is_of_all_people_and_a_loss_is_a_share_of_the_same_people() -> None:
    bits = np.array([10.0, 20.0, 30.0])
    assert per_parameter(bits, 30).value == pytest.approx(60 / 30)
    loss = lost(bits, bits * 0.9)
    assert (loss.value, loss.low, loss.high) == pytest.approx((0.1, 0.1, 0.1))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_weight_goes_to_the_nearest_of_its_channels_levels(bits: int) -> None:
    weight = torch.randn(7, 33, generator=torch.Generator().manual_seed(bits))
    weight[2] = 0
    for row, out in zip(weight.double(), round_to_nearest(weight, bits).double(), strict=True):
        most = 2 ** (bits - 1) - 1
        levels = torch.arange(-most, most + 1).double() * row.abs().max() / most
        nearest = levels[(row[:, None] - levels).abs().argmin(dim=1)]
        assert torch.allclose(out, nearest, atol=1e-6)


def test_eight_bits_agree_with_torchs_own_quantisation() -> None:
    weight = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    scales = weight.abs().amax(dim=1) / 127
    zeros = torch.zeros(5, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -127, 127)
    assert torch.allclose(round_to_nearest(weight, 8), theirs, atol=1e-6)


def test_a_rounded_copy_leaves_the_network_and_its_biases_as_they_are(network: GPT2) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    copy = rounded(network, 4).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert torch.equal(copy[name], tensor) == (tensor.ndim == 1), name
