"""What is told while a strategy writes adds up to what it returns, and telling it changes nothing."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.decoding.core.live import Dropped, Forked, Happening, RolledBack
from app.engine.engine import Engine
from app.engine.types import ChoiceDone, EngineLimits, LiveOut, TokenOut
from tests.app.decoding.calibrated import calibration, with_risk
from tests.app.decoding.strategies.test_contract import KINDS, PROBES, outcome, request_of
from tests.app.engine.replay import Replay
from tests.app.engine.tiny import TinyCheckpoint, collect, tiny_model


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    measured = with_risk(calibration(), (2.5, 3.0, 3.5))
    with Engine(TinyCheckpoint(tiny_model()), EngineLimits(max_rows=32), PROBES, measured) as engine:
        yield engine


@pytest.mark.parametrize("kind", KINDS)
def test_applying_what_happens_gives_the_tokens_that_are_returned(engine: Engine, kind: str) -> None:
    for seed in range(3):
        request = request_of(kind, seed)
        items = list(engine.submit(replace(request, live=True)))
        assert outcome(collect(items)) == outcome(collect(engine.submit(request)))
        replay = Replay()
        committed: list[int] = []
        for item in items:
            match item:
                case LiveOut(happenings):
                    replay.apply(happenings)
                case TokenOut(token=token):
                    committed.append(token.id)
                    # What is final was told before, and is in no danger: a branch has it.
                    texts = [*replay.living.values(), replay.tokens]
                    assert any([each.id for each in text][: len(committed)] == committed for text in texts)
                case ChoiceDone(tokens=tokens, events=events):
                    assert replay.chosen is not None
                    assert list(tokens) == replay.tokens
                    assert list(events) == replay.events
                case _:
                    pass


def happenings_of(engine: Engine, kind: str) -> list[Happening]:
    items = [
        item
        for seed in range(3)
        for item in engine.submit(replace(request_of(kind, seed), live=True))
        if isinstance(item, LiveOut)
    ]
    return [each for item in items for each in item.happenings]


def test_strategies_that_rewind_and_that_fork_are_seen_doing_so(engine: Engine) -> None:
    assert any(isinstance(each, RolledBack) for each in happenings_of(engine, "retry_upon_regret"))
    beams = happenings_of(engine, "beam")
    # Beams that lose are let go at once, not all of them in the end.
    assert any(isinstance(each, Forked) for each in beams[len(beams) // 2 :])
    assert any(isinstance(each, Dropped) for each in beams[: len(beams) // 2])


def test_choices_are_told_apart(engine: Engine) -> None:
    request = replace(request_of("self_consistency"), n=3, live=True)
    items = list(engine.submit(request))
    replays = [Replay(index) for index in range(3)]
    for item in items:
        if isinstance(item, LiveOut):
            for each in item.happenings:
                replays[each.branch[0]].apply([each])
    result = collect(items)
    assert [replay.tokens for replay in replays] == [result.choices[index].tokens for index in range(3)]


def test_nothing_is_told_unasked(engine: Engine) -> None:
    assert not any(isinstance(item, LiveOut) for item in engine.submit(request_of("retry_upon_regret")))
