"""Texts that the model writes ahead are those that it writes token by token."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest
import torch

from app.decoding.core.sequence import Sequence as Writing
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, Sample
from app.engine import ahead, turns
from app.engine.engine import Engine
from app.engine.loop import DecodingLoop
from app.engine.reading import Reading
from app.engine.requests import RequestGroup
from app.engine.scoring import GivenText, ScoreJob
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest, TokenOut
from models.gpt2 import GPT2, GPT2Config
from models.native.native_decoder import NativeDecoder
from models.writing_ahead import WrittenAhead
from tests.app.engine.test_probes import ALL, PROBES, Restless
from tests.app.engine.tiny import (
    CONTEXT,
    END,
    VOCABULARY,
    TinyCheckpoint,
    Wanderer,
    ask,
    collect,
    tiny_network,
)
from tests.models.native.compiled import needs_native
from tests.models.tiny import randomise

pytestmark = needs_native

SIGNALS = ("entropy", "varentropy", "surprisal", "max_probability", "margin", "confidence")


class Watched(NativeDecoder):
    """Notes how many tokens each call wrote, and in `written` those of calls that wrote a row several."""

    def __init__(self, network: Any = None) -> None:
        super().__init__(network or tiny_network(), "tiny", END)
        self.drawn: list[int] = []
        self.written: list[int] = []

    def write(self, *args: Any, **rest: Any) -> WrittenAhead:
        found = super().write(*args, **rest)
        self.drawn.append(len(found.ids))
        if max(Counter(found.rows).values()) > 1:
            self.written.append(len(found.ids))
        return found


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, as many tokens are written as may be."""
    monkeypatch.setattr(ahead, "SECONDS", 1e9)
    monkeypatch.setattr(ahead, "UNWATCHED_SECONDS", 1e9)


def requests() -> list[GenerationRequest]:
    kinds = (Sample(), Greedy(), Sample(), Restless(), Wanderer())
    return [
        ask(
            [(index * 31 + i * 7) % 250 + 1 for i in range(3 + index)],
            kinds[index % 5],
            SamplingParams(temperature=(1.0, 0.8, 1.3)[index % 3]),
            max_tokens=40 - index,
            seed=index,
            ignore_eos=index % 2 == 0,
            stop_token_ids=(7, 9) if index % 4 == 0 else (),
            signals=((*SIGNALS, *ALL), ("margin", ALL[2]), ())[index % 3],
        )
        for index in range(9)
    ]


def texts(asked: Sequence[GenerationRequest], model: NativeDecoder, **more: Any) -> list[Any]:
    """Ids, log-probabilities, signals and usage of every request, all of them asked at once."""
    with Engine(TinyCheckpoint(model), EngineLimits(**more), PROBES) as engine:
        results = [collect(stream) for stream in [engine.submit(each) for each in asked]]
    return [
        ([(token.id, token.logprob) for token in each.only.tokens], each.only.tokens, each.usage)
        for each in results
    ]


@pytest.mark.parametrize(
    ("beside", "by_model"),
    [
        # One that may end anywhere: as long as it goes on, nothing is written ahead.
        ({"stop": ("no such text",)}, True),
        # One that the model cannot draw: all are drawn from its logits.
        ({"sampling": SamplingParams(top_p=0.9)}, False),
    ],
)
def test_a_text_is_the_same_however_many_tokens_are_written_at_a_time(
    beside: dict[str, Any], by_model: bool
) -> None:
    model = Watched()
    alone = [texts([each], model)[0] for each in requests()]
    assert max(model.written) > 20
    model.written.clear()
    model.drawn.clear()
    held_up = ask(prompt=[2], max_tokens=58, ignore_eos=True, **beside)
    together = texts([held_up, *requests()], model, max_rows=16)[1:]
    assert not model.written
    assert bool(model.drawn) == by_model
    for (mine, tokens, usage), (theirs, others, other_usage) in zip(alone, together, strict=True):
        assert mine == theirs  # to the last bit
        assert usage == other_usage
        for token, other in zip(tokens, others, strict=True):
            assert dict(token.signals) == pytest.approx(dict(other.signals), abs=1e-4)
            assert set(token.signals) == set(other.signals)


def test_rows_are_written_together() -> None:
    model = Watched()
    asked = [ask([5 + seed, 6], seed=seed, max_tokens=30) for seed in range(4)]
    together = texts(asked, model, max_rows=4)
    assert max(model.written) > 60
    assert together == [texts([each], model)[0] for each in asked]


def test_a_stop_string_and_a_look_at_every_token_keep_it_from_being_written_ahead() -> None:
    model = Watched()
    texts([ask(max_tokens=20, stop=("no such text",))], model)
    texts([ask(max_tokens=20, sampling=SamplingParams(top_p=0.9))], model)
    texts([ask(max_tokens=20, top_logprobs=2)], model)
    assert not model.written


def test_tokens_before_broken_logits_are_told() -> None:
    network = GPT2(GPT2Config(len(VOCABULARY), CONTEXT, 32, 2, 2, positions="learned"))
    randomise(network, 1)
    assert network.position_embedding is not None
    with torch.no_grad():
        network.position_embedding.weight[12] = torch.nan
    model = Watched(network)
    with Engine(TinyCheckpoint(model), EngineLimits()) as engine:
        items = list(engine.submit(ask([3, 1, 4, 1, 5], max_tokens=30)))
    assert model.written
    assert "not all numbers" in str(collect(items).error)
    assert sum(isinstance(item, TokenOut) for item in items) == 8


def test_counters_count_every_pass() -> None:
    model = Watched()
    with Engine(TinyCheckpoint(model), EngineLimits()) as engine:
        collect(engine.submit(ask(max_tokens=30)))
        stats = engine.stats()
    assert (stats.drawn_tokens, stats.forward_rows, stats.forward_passes) == (30, 30, 30)
    assert stats.batch_sizes == {1: 30}


class Ticking:
    """A loop that is ticked by hand."""

    def __init__(self) -> None:
        self.model = Watched()
        self.loop = DecodingLoop(TinyCheckpoint(self.model), EngineLimits(max_rows=8))

    def submit(self, request: GenerationRequest, *, collecting: bool = False) -> Stream:
        stream = Stream(self.loop.cancel)
        vars(stream)["_collecting"] = collecting
        with torch.inference_mode():
            self.loop.submit(request, stream)
        return stream

    def tick(self, times: int) -> None:
        with torch.inference_mode():
            for _ in range(times):
                self.loop.tick()


def test_the_background_writes_nothing_ahead_while_there_is_live_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "SHARE", 1e6)  # so nearly every turn is the background's
    ticking = Ticking()
    live = ticking.submit(ask([1, 2, 3], max_tokens=60))
    for index in range(3):
        ticking.submit(ask([9, 9, index], max_tokens=50, background=True), collecting=True)
    ticking.tick(10)
    assert live.held == 1
    assert ticking.loop.counters.drawn_tokens > 10
    assert not ticking.model.written


def test_who_has_a_pass_of_its_own_gets_one_token_of_it() -> None:
    ticking = Ticking()
    ticking.submit(ask([1, 2, 3], max_tokens=60))
    ticking.tick(3)
    assert ticking.model.written
    ticking.model.written.clear()
    newcomer = ticking.submit(ask([7], max_tokens=50))
    ticking.tick(1)
    assert newcomer.held == 1
    assert not ticking.model.written


@pytest.mark.parametrize("are_read", [False, True])
def test_texts_that_are_read_are_not_kept_waiting(monkeypatch: pytest.MonkeyPatch, are_read: bool) -> None:
    monkeypatch.setattr(ahead, "SECONDS", 0.0)
    ticking = Ticking()
    ticking.submit(ask([1, 2, 3], max_tokens=60), collecting=True)
    ticking.tick(2)
    for number in range(1, 9 if are_read else 1):
        job = ScoreJob(GivenText((number, 2, 3), Reading()), Future())
        ticking.loop.score(RequestGroup(str(number)), [job])
    ticking.tick(6)
    assert bool(ticking.model.written) == (not are_read)


class Late:
    """Awaits what it made before it wrote other tokens."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Writing) -> Writing:
        several = sequence.several()
        await sequence.extend(max_tokens=5)
        await several
        await sequence.extend()
        return sequence


def test_no_more_is_written_than_there_is_room_for() -> None:
    model = Watched()
    (late,) = texts([ask(strategy=Late(), max_tokens=20)], model)
    assert late == texts([ask(max_tokens=20)], model)[0]
    assert len(late[0]) == 20
