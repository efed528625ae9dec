"""Counting wrong answers, against answers asked for one by one, and what abstaining makes of the counts."""

from math import inf

import pytest

from app.decoding.calibration.risk import choose
from app.decoding.calibration.risk_table import RiskTable
from app.decoding.strategies import Greedy
from app.decoding.strategies.abstain import Abstain
from app.engine.engine import Engine
from app.measure.risk_counting import Graded, Question, count_risks, grade
from tests.app.decoding.calibrated import calibration
from tests.app.engine.tiny import CONTEXT, TinyCheckpoint, ask, collect, tiny_engine, tiny_model

QUESTIONS = [
    Question((seed + 1, 3, (seed * 7) % 250 + 1), lambda text: len(text.encode()) % 3 == 0)
    for seed in range(40)
]


def test_doubt_is_that_of_the_greedy_answer_without_its_end() -> None:
    with tiny_engine() as engine:
        counted: list[None] = []
        graded = list(grade(engine, QUESTIONS, lambda: counted.append(None)))
        assert len(counted) == len(graded) == 40
        for question, each in zip(QUESTIONS[:6], graded, strict=False):
            asked = ask(
                question.prompt_ids,
                Greedy(),
                max_tokens=CONTEXT - 3,
                ignore_eos=False,
                signals=("entropy", "surprisal"),
            )
            answer = collect(engine.submit(asked)).only
            assert set(each.doubts) == {"mean_entropy", "surprisal"}
            assert each.wrong == question.is_wrong(answer.text)
            assert answer.done is not None
            tokens = answer.done.text_tokens
            if not tokens:
                assert set(each.doubts.values()) == {inf}
                continue
            logprobs = [token.logprob for token in tokens]
            assert each.doubts["surprisal"] == pytest.approx(-sum(logprobs), abs=1e-3)
            entropies = [token.signals["entropy"] for token in tokens]
            assert each.doubts["mean_entropy"] == pytest.approx(sum(entropies) / len(entropies), abs=1e-4)


def test_grid_and_tuning_are_of_every_second_answer() -> None:
    graded = [Graded({"surprisal": float(index)}, index % 4 == 3) for index in range(400)]
    (table,) = count_risks(graded).values()
    assert table.thresholds == tuple(range(6, 399, 8))
    assert table.tuning.wrong == (0,) * 50
    assert table.tested.answered == tuple(range(3, 200, 4))
    assert table.tested.wrong[-1] == 99
    assert count_risks([Graded({"step_error": float("inf")}, True)]) == {}
    assert count_risks([]) == {}


def test_abstaining_declines_on_the_very_answers_that_were_counted_above_the_threshold() -> None:
    with tiny_engine() as engine:
        graded = list(grade(engine, QUESTIONS))
    counts = count_risks(graded)
    table = RiskTable(split="calibration", op_min=1, op_max=1, seed=0, scores=counts)
    measured = calibration().model_copy(update={"risk": table})
    entropy = counts["mean_entropy"]
    chosen = choose(entropy.tuning, entropy.tested, "selective", 0.9, 0.5)
    assert chosen is not None
    threshold = entropy.thresholds[chosen.index]
    params = Abstain(score="mean_entropy", level=0.9, delta=0.5)
    with Engine(TinyCheckpoint(tiny_model()), calibration=measured) as engine:
        for question, each in zip(QUESTIONS[:12], graded, strict=False):
            asked = ask(question.prompt_ids, params, max_tokens=CONTEXT - 3, ignore_eos=False)
            done = collect(engine.submit(asked)).only.done
            assert done is not None
            assert (done.finish_reason == "abstain") == (each.doubts["mean_entropy"] > threshold + 1e-6)
