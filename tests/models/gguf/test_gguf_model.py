"""llama.cpp as a `LanguageModel`: the tests of all others, over a GGUF of float32 weights. Its keys and
values are of half precision, and so is the agreement with transformers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import CapacityError
from models.gguf.gguf_model import GgufModel
from models.gguf.opening import open_gguf
from models.language_model import PrefillRow
from tests.models import test_language_model as suite
from tests.models.gguf.writing import needs_llama_cpp, tokens_of, write_gguf
from tests.models.hub import FOREIGN, Reference
from tests.models.test_language_model import Subject
from tests.models.tiny import CONTEXT, VOCABULARY, random_ids, randomise

pytestmark = needs_llama_cpp

HALF_PRECISION = 0.1
"""Largest difference, on logits of 7.7 and states of 10 at most."""
IN_COMPANY = 2e-3

LAYERS = suite.LAYERS
TESTS: tuple[Callable[..., None], ...] = (
    suite.test_score_is_transformers_at_every_position_and_layer,
    suite.test_hidden_states_are_those_asked_for,
    suite.test_ragged_prefill_then_steps_at_different_positions,
    suite.test_prefill_in_pieces,
    suite.test_extending_in_pieces_has_every_position,
    suite.test_fork_shares_the_prefix_and_nothing_else,
    suite.test_what_one_slot_lets_go_of_others_still_have,
    suite.test_rewind_forgets_what_came_after,
    suite.test_any_history_of_prefills_steps_forks_and_rewinds_equals_a_fresh_pass,
    suite.test_row_does_not_depend_on_its_neighbours,
)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    folder = tmp_path_factory.mktemp("gguf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "caches"))
        network = FOREIGN["llama"]()
        randomise(network, seed=1)
        write_gguf(folder / "llama.gguf", network, tokens=tokens_of(VOCABULARY), ends=(7, 7))
        model = open_gguf(folder / "llama.gguf", "cpu", "auto").model
        yield Subject(model, Reference(network.eval()), HALF_PRECISION, HALF_PRECISION, IN_COMPANY)


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GgufModel]:
    """One with a context that is longer than llama.cpp's least cache."""
    folder = tmp_path_factory.mktemp("gguf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "caches"))
        network = FOREIGN["llama"]()
        network.config.max_position_embeddings = 2048
        randomise(network, seed=1)
        write_gguf(folder / "long.gguf", network, tokens=tokens_of(VOCABULARY), ends=(7, 7))
        yield open_gguf(folder / "long.gguf", "cpu", "auto").model


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_it_is_a_language_model(subject: Subject, test: Callable[..., None]) -> None:
    test(subject)


def test_its_spec_is_that_of_the_file(subject: Subject) -> None:
    spec = subject.model.spec
    assert (spec.vocab_size, spec.context_length, spec.d_model, spec.n_layers) == (400, CONTEXT, 32, 2)
    assert spec.parameters == sum(each.numel() for each in subject.reference.network.parameters())
    assert (spec.kernel, spec.quantisation, spec.end_token_ids) == ("llama.cpp", "F32", (7,))


def test_a_cache_that_grows_keeps_what_it_holds(long_model: GgufModel) -> None:
    text = random_ids(1500)
    cache = long_model.new_cache(3, 2048)
    small = cache.held_bytes
    long_model.prefill(cache, [PrefillRow(0, 0, tuple(text[:400])), PrefillRow(2, 0, (5, 6))])
    cache.copy(0, 1, 0, 300)
    assert cache.held_bytes == small
    read = long_model.prefill(cache, [PrefillRow(0, 400, tuple(text[400:]))])
    assert small < cache.held_bytes <= cache.most_bytes
    alone = long_model.score(text).logits[-1]
    torch.testing.assert_close(read.logits[0], alone, atol=HALF_PRECISION, rtol=0)
    forked = long_model.step(cache, [text[300], 7], [1, 2], [300, 2], LAYERS)
    expected = long_model.score(text[:301], LAYERS)
    torch.testing.assert_close(forked.logits[0], expected.logits[-1], atol=HALF_PRECISION, rtol=0)
    for layer in LAYERS:
        torch.testing.assert_close(
            forked.hidden[layer][0], expected.hidden[layer][-1], atol=HALF_PRECISION, rtol=0
        )


def test_texts_that_begin_alike_take_their_beginning_once(long_model: GgufModel) -> None:
    cache = long_model.new_cache(64, 2048)
    text = random_ids(400)
    long_model.prefill(cache, [PrefillRow(0, 0, tuple(text))])
    held = cache.held_bytes
    for slot in range(1, 64):
        cache.copy(0, slot, 0, 400)
    long_model.step(cache, [9] * 64, range(64), [400] * 64)
    assert cache.held_bytes == held


def test_a_position_that_is_not_the_next_one_is_refused(subject: Subject) -> None:
    cache = subject.model.new_cache(2, CONTEXT)
    subject.model.prefill(cache, [PrefillRow(0, 0, (1, 2, 3))])
    with pytest.raises(CapacityError, match="slot 0 holds 3 positions; the next cannot be 4"):
        subject.model.step(cache, [1], [0], [4])
    with pytest.raises(CapacityError, match=r"slots: llama\.cpp takes at most 256"):
        subject.model.new_cache(257, CONTEXT)
    with pytest.raises(CapacityError, match="slot 2 is not one of the cache's slots 0 to 1"):
        subject.model.prefill(cache, [PrefillRow(2, 0, (1,))])


def test_greedy_is_that_of_llama_cpp_itself(subject: Subject, tmp_path: Path) -> None:
    """By a context of its own, fed one token after another."""
    from models.gguf.llama_context import LlamaContext
    from models.gguf.llama_model import load_llama_model

    network = subject.reference.network
    write_gguf(tmp_path / "same.gguf", network, tokens=tokens_of(VOCABULARY), ends=(7, 7))
    context = LlamaContext(load_llama_model(tmp_path / "same.gguf", "cpu"), 1, CONTEXT, 1)
    prompt, theirs, ours = random_ids(8), [], []
    for position in range(CONTEXT - 1):
        token = prompt[position] if position < len(prompt) else theirs[-1]
        ids, sequences, positions = np.array([[token], [0], [position]], np.int32)
        logits = context.run(ids, sequences, positions, np.ones(1, np.bool_))
        assert logits is not None
        if position >= len(prompt) - 1:
            theirs.append(int(logits[0].argmax()))
    cache = subject.model.new_cache(4, CONTEXT)
    output = subject.model.prefill(cache, [PrefillRow(3, 0, tuple(prompt)), PrefillRow(1, 0, (4, 5, 6))])
    while len(ours) < len(theirs):
        ours.append(int(output.logits[0].argmax()))
        at = len(prompt) + len(ours) - 1
        output = subject.model.step(cache, [ours[-1], 4], [3, 1], [at, 3])
    assert ours == theirs
