"""Probe beam against brute force over all texts, and against the base sampler."""

from collections.abc import Iterator
from itertools import product
from math import log

import pytest

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import ProbeBeam, Sample
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from tests.app.decoding.strategies.scripted import END, drive
from tests.app.engine.tiny import Result, TinyCheckpoint, ask, collect, tiny_model
from tests.probes.tiny import every_family

STOPS = SamplingParams(logit_bias={46: 5.0})
PROBES = every_family((46, 10), (61,), (5, 6, 7), d_model=32, last=2)
PROBE = "probe:pooled_every"
LETTERS = "abc"
DEPTH = 3


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(TinyCheckpoint(tiny_model()), EngineLimits(), PROBES) as engine:
        yield engine


def run(engine: Engine, strategy: Runnable, seed: int) -> Result:
    return collect(engine.submit(ask((3, 1, 4), strategy, STOPS, 24, seed=seed, ignore_eos=False)))


def test_width_and_samples_of_one_are_the_base_sampler(engine: Engine) -> None:
    for seed in range(4):
        ours = run(engine, ProbeBeam(probes=(PROBE,), width=1, samples=1), seed)
        base = run(engine, Sample(), seed)
        assert ours.only.ids == base.only.ids
        assert (ours.only.events, ours.usage) == ((), base.usage)


def risk(text: str) -> float:
    """A value for every prefix, such that the best text does not begin with the best step."""
    return (hash_of(text) % 97 + 1) / 100


def hash_of(text: str) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(text))


class EveryLetter:
    """Writes a step of one letter: each time it is asked after the same text, the next one."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def __call__(self, sequence: Sequence, _: SamplingParams) -> Token:
        text = sequence.text
        if len(text) == 2 * DEPTH:
            return Token(END, -1.0, {})
        if len(text) % 2:
            return Token(ord("."), -1.0, {"probe:step_error": risk(text)})
        place = self.asked.get(text, 0)
        self.asked[text] = place + 1
        return Token(ord(LETTERS[place % len(LETTERS)]), -1.0, {})


def score(text: str) -> float:
    return sum(log(1 - risk(text[: 2 * depth + 1])) for depth in range(len(text) // 2))


def test_a_beam_as_wide_as_the_tree_finds_the_best_text() -> None:
    strategy = ProbeBeam(width=32, samples=len(LETTERS))
    every = ["".join(f"{letter}." for letter in letters) for letters in product(LETTERS, repeat=DEPTH)]
    result = drive(strategy, EveryLetter())
    assert result.text == max(every, key=score)
    assert result.discarded == sum(2 * 3**depth for depth in (1, 2, 3)) + 27 * 3 - result.result.position


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_narrow_beam_keeps_the_best_after_every_step(width: int) -> None:
    beam = [""]
    for _ in range(DEPTH):
        found = [f"{text}{letter}." for text in beam for letter in LETTERS]
        beam = sorted(found, key=score, reverse=True)[:width]
    result = drive(ProbeBeam(width=width, samples=len(LETTERS)), EveryLetter())
    assert result.text == beam[0]
    assert result.events[-1].detail["discarded"] == result.discarded


def test_texts_that_are_the_same_count_once() -> None:
    def write(sequence: Sequence, _: SamplingParams) -> Token:
        return Token(b"a.b."[sequence.position] if sequence.position < 4 else END, -1.0, {})

    result = drive(ProbeBeam(width=4, samples=4), write)
    assert result.text == "a.b."
    beams = [event.detail for event in result.events if event.rule == "beam"]
    assert [(each["candidates"], each["distinct"], each["kept"]) for each in beams] == [(4, 1, 1)] * 3
