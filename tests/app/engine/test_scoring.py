"""Texts are read piece by piece: the same is read, and nobody who is being written to waits for more."""

from collections.abc import Sequence as Items
from concurrent.futures import Future
from typing import Any

import pytest
import torch

from app.engine.loop import DecodingLoop
from app.engine.reading import Reading
from app.engine.requests import RequestGroup
from app.engine.scoring import MOST_POSITIONS, GivenText, ScoreJob
from app.engine.turns import LEAST_PIECE
from app.engine.types import EngineLimits
from models.decoder import Decoder
from models.gpt2 import GPT2, GPT2Config
from models.hub.choosing import hub_model
from models.language_model import LanguageModel, PrefillRow, StepOutput
from tests.app.engine.test_fairness import Watched
from tests.app.engine.tiny import END, VOCABULARY, TinyCheckpoint, ask, collect, tiny_engine, tiny_model
from tests.models.architectures import network_of

PIECE = 8
TEXT = tuple(range(1, 42))
READING = Reading(("entropy", "varentropy", "surprisal"), 3)


class Counting:
    """A model that notes how many positions each piece of a text has."""

    def __init__(self, model: LanguageModel[Any]) -> None:
        self._model = model
        self.pieces: list[int] = []

    def extend(self, cache: Any, row: PrefillRow, hidden_layers: Items[int] = ()) -> StepOutput:
        self.pieces.append(len(row.token_ids))
        return self._model.extend(cache, row, hidden_layers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def llama() -> LanguageModel[Any]:
    network = network_of("llama", vocab_size=len(VOCABULARY), eos_token_id=END)
    return hub_model(network, "llama")


def bloom() -> LanguageModel[Any]:
    """Its rows run one after the other."""
    return hub_model(network_of("bloom", vocab_size=len(VOCABULARY), eos_token_id=END), "bloom")


MODELS = {"ours": tiny_model, "llama": llama, "bloom": bloom}


def watched(model: Any, **limits: int) -> Watched:
    made = Watched(**limits)
    made.loop = DecodingLoop(TinyCheckpoint(model), EngineLimits(max_rows=4, **limits))
    return made


def submit(loop: DecodingLoop, texts: Items[Items[int]], client: str = "") -> list[ScoreJob]:
    """Texts of one request."""
    jobs = [ScoreJob(GivenText(tuple(text), READING), Future()) for text in texts]
    loop.score(RequestGroup(client=client), jobs)
    return jobs


@pytest.mark.parametrize("kind", MODELS)
def test_a_text_read_in_pieces_is_read_as_in_one_pass(kind: str) -> None:
    model = MODELS[kind]()
    counting = Counting(model)
    engine = watched(counting, max_prefill_tokens=PIECE)
    (job,) = submit(engine.loop, [TEXT])
    engine.tick(len(TEXT) // PIECE)
    assert counting.pieces == [PIECE] * (len(TEXT) // PIECE)
    expected = model.score(TEXT).logits[:-1].log_softmax(-1)
    tokens = job.result.result(0)
    assert [token.id for token in tokens] == list(TEXT[1:])
    found = torch.tensor([token.logprob for token in tokens])
    torch.testing.assert_close(found, expected[range(40), TEXT[1:]], atol=1e-5, rtol=0)
    entropies = torch.tensor([token.signals["entropy"] for token in tokens])
    torch.testing.assert_close(entropies, torch.special.entr(expected.exp()).sum(-1), atol=1e-5, rtol=0)
    assert all(len(token.top) == 3 for token in tokens)
    assert engine.loop.counters.scored_tokens == len(TEXT)
    assert engine.loop.idle


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("echoed", [False, True])
def test_streams_go_on_between_the_pieces(kind: str, echoed: bool) -> None:
    counting = Counting(MODELS[kind]())
    engine = watched(counting, max_prefill_tokens=PIECE)
    (running,) = engine.submit([ask([3, 1, 4], max_tokens=30)])
    engine.tick(2)
    if echoed:
        engine.submit([ask(TEXT, max_tokens=1, score_prompt=True)])
    else:
        submit(engine.loop, [TEXT])
    while sum(counting.pieces) < len(TEXT) - 1:
        said = running.held
        engine.tick(2)
        assert running.held > said, counting.pieces
    assert max(counting.pieces) == PIECE


def test_a_piece_has_a_limit_however_fast_the_machine_is() -> None:
    network = GPT2(GPT2Config(len(VOCABULARY), context_length=2048, d_model=8, n_layers=1, n_heads=1))
    counting = Counting(Decoder(network.eval(), "long", END))
    engine = watched(counting, max_prefill_tokens=1 << 30)
    (job,) = submit(engine.loop, [[1 + place % 250 for place in range(1500)]])
    engine.tick(1500 // LEAST_PIECE + 1)
    assert job.result.done()
    assert max(counting.pieces) <= MOST_POSITIONS


def test_a_short_text_does_not_wait_until_a_long_one_is_read() -> None:
    engine = watched(tiny_model(), max_prefill_tokens=PIECE)
    (long,) = submit(engine.loop, [TEXT])
    engine.tick()
    (short,) = submit(engine.loop, [[1, 2, 3]], client="other")
    engine.tick(2)
    assert short.result.done()
    assert not long.result.done()
    engine.tick(4)
    assert long.result.done()


def test_few_long_texts_are_held_at_a_time_and_all_are_read() -> None:
    engine = watched(tiny_model(), max_prefill_tokens=PIECE)
    jobs = [job for client in "abcdefgh" for job in submit(engine.loop, [TEXT, TEXT], client)]
    most = 0
    for _ in range(len(jobs) * len(TEXT) // PIECE + 1):
        engine.tick()
        most = max(most, sum(job.given.cache is not None for job in jobs))
    assert most == 4
    assert all(job.result.done() for job in jobs)
    assert engine.loop.idle


def test_a_text_that_nobody_waits_for_any_more_is_not_read_on() -> None:
    counting = Counting(tiny_model())
    engine = watched(counting, max_prefill_tokens=PIECE)
    first, second = submit(engine.loop, [TEXT, TEXT])
    engine.tick()
    first.result.cancel()
    engine.tick(len(TEXT) // PIECE)
    assert second.result.done()
    assert len(counting.pieces) == 1 + len(TEXT) // PIECE
    assert engine.loop.idle


def test_an_echo_that_is_cancelled_while_its_prompt_waits_leaves_the_line() -> None:
    with tiny_engine(max_rows=2, max_prefill_tokens=PIECE) as engine:
        streams = [engine.submit(ask(TEXT, max_tokens=2, score_prompt=True)) for _ in range(20)]
        for stream in streams[::2]:
            stream.cancel()
        answers = [collect(stream) for stream in streams[1::2]]
        assert all(answer.error is None for answer in answers)
        assert engine.stats().waiting_requests == 0
