"""EAGer, against its loop written out by hand over fresh prefills."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.eager import Eager
from app.decoding.strategies.parts.answers import read_answer
from app.decoding.strategies.sample import Sample
from app.engine.engine import Engine
from app.errors import ParameterError
from tests.app.decoding.calibrated import calibration
from tests.app.decoding.strategies.by_hand import BIAS, PROMPT, STOP, Text, best, greedy, look
from tests.app.engine.tiny import VOCABULARY, Result, TinyCheckpoint, ask, collect, tiny_engine, tiny_model

LENGTH = 14
GREEDY = SamplingParams(temperature=0.0, logit_bias={STOP: BIAS})
# An "answer" of the tiny model: what follows a full stop.
MARKER = "."


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tiny_engine() as engine:
        yield engine


def run(engine: Engine, sampling: SamplingParams = GREEDY, seed: int = 0, **params: Any) -> Result:
    strategy = Eager(**params)
    return collect(engine.submit(ask(PROMPT, strategy, sampling, max_tokens=LENGTH, seed=seed)))


def by_hand(threshold: float, budget: int) -> list[Text]:
    texts = [Text()]
    while len(texts) < budget and len(texts[0].ids) < LENGTH:
        for index, text in enumerate(list(texts)):
            entropy, candidates = look(text, 2)
            texts[index] = candidates[0]
            if entropy > threshold and len(texts) < budget:
                texts.append(candidates[1])
    return [greedy(text, LENGTH) for text in texts]


def answer_of(text: Text) -> str | None:
    return read_answer(b"".join(VOCABULARY[id_] for id_ in text.ids).decode(errors="replace"), MARKER)


@pytest.mark.parametrize(("threshold", "budget"), [(2.5, 4), (0.0, 7), (2.2, 2)])
def test_the_likeliest_of_the_sequences_by_hand_is_chosen(
    engine: Engine, threshold: float, budget: int
) -> None:
    texts = by_hand(threshold, budget)
    result = run(engine, threshold=threshold, samples=budget, choose="best")
    assert result.only.ids == list(best(texts).ids)
    branches = [event for event in result.only.events if event.rule == "branch"]
    assert len(branches) == len(texts) - 1
    assert result.usage is not None
    # What sequences have in common before they part is written once, and the look at a doubt costs one token.
    prefixes = {text.ids[:length] for text in texts for length in range(1, LENGTH + 1)}
    total = result.usage.completion_tokens + result.usage.discarded_tokens
    assert total == len(prefixes) - len(branches)


def test_the_commonest_answer_wins(engine: Engine) -> None:
    texts = by_hand(1.5, 12)
    answers = [answer_of(text) for text in texts]
    votes = Counter(answer for answer in answers if answer is not None)
    assert len(votes) > 1
    most = max(votes.values())
    rivals = [
        text
        for text, answer in zip(texts, answers, strict=True)
        if answer is not None and votes[answer] == most
    ]
    result = run(engine, threshold=1.5, samples=12, answer_marker=MARKER)
    assert result.only.ids == list(best(rivals).ids)
    assert result.only.events[-1].rule == "vote"
    assert result.only.events[-1].detail["votes"] == most


def test_without_a_doubt_or_a_budget_it_is_the_request_own_sampling(engine: Engine) -> None:
    for sampling in (GREEDY, SamplingParams(temperature=0.9)):
        base = collect(engine.submit(ask(PROMPT, Sample(), sampling, max_tokens=LENGTH, seed=3)))
        for params in ({"threshold": 100.0}, {"threshold": 0.0, "samples": 1}):
            sure = run(engine, sampling, seed=3, **params)
            assert sure.only.ids == base.only.ids
            assert sure.only.events == ()
            assert sure.usage is not None
            assert sure.usage.discarded_tokens == 0


def test_the_calibrated_entropy_stands_in_for_a_threshold_and_one_of_them_must_be_there(
    engine: Engine,
) -> None:
    with Engine(TinyCheckpoint(tiny_model()), calibration=calibration(entropy_98=2.2)) as calibrated:
        assert run(calibrated).only.ids == run(engine, threshold=2.2).only.ids
    with pytest.raises(ParameterError, match="'eager' was given no threshold"):
        run(engine)
