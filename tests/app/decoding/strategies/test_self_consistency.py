"""Self-consistency against a count over separate samples, and what stopping early spares."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample
from app.decoding.strategies.parts.answers import read_answer
from app.decoding.strategies.self_consistency import SelfConsistency
from tests.app.decoding.strategies.scripted import END, Run, begin, drive
from tests.app.engine.tiny import ask, collect, tiny_engine


def answers(*texts: str) -> Callable[[Sequence, SamplingParams], Token]:
    """Sample i writes text i, then ends; every character has log-probability -1."""

    def write(sequence: Sequence, _: SamplingParams) -> Token:
        # The first sample is the choice's own sequence, the others are its forks 0, 1, ...
        index = sequence.branch[1] + 1 if len(sequence.branch) > 1 else 0
        text = texts[index]
        if sequence.position == len(text):
            return Token(END, 0.0, {})
        return Token(ord(text[sequence.position]), -1.0, {})

    return write


def run(*texts: str, **params: Any) -> Run:
    strategy = SelfConsistency(samples=len(texts), **params)
    return drive(strategy, answers(*texts), begin())


def vote(done: Run) -> dict[str, Any]:
    (event,) = (event for event in done.events if event.rule == "vote")
    return dict(event.detail)


def test_the_likeliest_text_with_most_votes_wins_and_the_trace_has_every_vote() -> None:
    done = run("Answer: 3", "so Answer: 7", "Answer: 7.", "no idea", "well, Answer: 7", stop="never")
    assert done.text == "Answer: 7."
    assert vote(done) == {"answer": "7", "votes": "7: 3, 3: 1", "samples": 5, "discarded": 47, "spared": 0}
    assert done.discarded == 47
    cast = [event.detail for event in done.events if event.rule == "ballot"]
    assert [each.get("answer") for each in cast] == ["3", "7", "7", None, "7"]
    assert cast[0] == {"answer": "3", "weight": 1.0, "logprob": -9.0}


def test_the_rest_is_spared_once_the_winner_is_certain() -> None:
    texts = ["Answer: 1", "Answer: 1", "Answer: 2", "Answer: 1", "Answer: 2", "Answer: 2"]
    one_by_one = run(*texts, batch=1, stop="decided")
    assert vote(one_by_one)["samples"] == 6  # 3 to 2 with one to come may end in a tie
    certain = run(*texts[:4], "Answer: 1", "Answer: 2", batch=1, stop="decided")
    assert vote(certain)["samples"] == 5
    assert vote(run(*texts[:4], "Answer: 1", "Answer: 2", batch=2, stop="decided"))["samples"] == 6
    assert vote(run(*texts, batch=1, stop="never"))["samples"] == 6
    # Beta(3, 1): P(share > 1/2) = 7/8 after two votes for the same answer.
    assert vote(run(*texts, batch=1, stop="confident", confidence=0.87))["samples"] == 2
    assert vote(run(*texts, batch=1, stop="confident", confidence=0.88))["samples"] == 6


@pytest.mark.parametrize("ties", ["earliest", "logprob"])
def test_ties(ties: str) -> None:
    done = run("long, Answer: 1", "Answer: 2", ties=ties)
    assert vote(done)["answer"] == ("1" if ties == "earliest" else "2")


def test_one_sample_is_plain_sampling() -> None:
    with tiny_engine() as engine:
        for seed in range(5):
            plain = collect(engine.submit(ask(strategy=Sample(), seed=seed))).only
            voted = collect(engine.submit(ask(strategy=SelfConsistency(samples=1), seed=seed)))
            assert voted.only.ids == plain.ids


class _Apart:
    """Writes its samples one after the other and tells what they were."""

    needs = frozenset[str]()

    async def decode(self, sequence: Sequence) -> Sequence:
        for fork in [sequence, *sequence.fork(7)]:
            await fork.extend()
            fork.record("text", {"text": fork.text})
        return sequence


def test_in_the_engine_it_is_the_majority_of_samples_drawn_apart() -> None:
    texts: Counter[str] = Counter()
    with tiny_engine() as engine:
        for seed in range(6):
            # The answer is what follows the last A; there are only letters A, B and C.
            sampling = SamplingParams(temperature=2.0, logit_bias={65: 90.0, 66: 90.0, 67: 90.0})
            common: dict[str, Any] = {"sampling": sampling, "seed": seed, "max_tokens": 4}
            apart = collect(engine.submit(ask(strategy=_Apart(), **common))).only
            found = [str(event.detail["text"]) for event in apart.events if event.rule == "text"]
            params = SelfConsistency(samples=8, answer_marker="A", stop="never")
            voted = collect(engine.submit(ask(strategy=params, **common))).only
            read = [answer for text in found if (answer := read_answer(text, "A")) is not None]
            counted = Counter(read)
            (event,) = (event for event in voted.events if event.rule == "vote")
            assert event.detail["answer"] == (counted.most_common(1)[0][0] if counted else "")
            texts.update(read)
    assert len(texts) > 1


def test_a_text_without_room_is_returned_as_it_is() -> None:
    done = drive(SelfConsistency(), answers(*[""] * 8), begin(max_tokens=0))
    assert done.result.finished
    assert done.result.position == 0
