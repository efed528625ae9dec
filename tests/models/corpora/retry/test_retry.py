"""Wrong beginnings that are taken back: where they stand, how they are judged, and what is learnt of them."""

from dataclasses import replace
from itertools import islice
from random import Random

import numpy as np
import pytest

from models.corpora.corpus import judge
from models.corpora.drawing import problems
from models.corpora.registry import corpus_named
from models.errors import SpecError
from models.training.config import PretrainConfig
from models.training.data import batch_source

PROBLEM = (
    "Kites are 5 more than tiles. Tiles are 9. Fans are kites minus stamps. Stamps are 3. How many kites?"
)
RIGHT = "Tiles are 9. Kites are 5 more than tiles = 5 + 9 = 3. Answer: 3"


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5])
def test_what_is_taken_back_is_never_ready_and_comes_at_the_rate(rate: float) -> None:
    corpus = corpus_named("retry", {"rate": rate})
    plain = corpus_named("igsm")
    begun = possible = 0
    for problem in islice(problems(corpus, "train", 0), 400):
        assert judge(corpus, problem.prompt, problem.solution).correct
        known: set[str] = set()
        before: set[str] = set()
        right: list[str] = []
        for step in problem.solution.split(". "):
            name = step.split(" ")[0]
            if not step.endswith(" BACK"):
                right.append(step)
                possible += bool(_not_ready(problem.prompt, known))
                known.add(name.lower())
                before.clear()
                continue
            assert name.lower() in _not_ready(problem.prompt, known) - before
            begun += not before
            before.add(name.lower())
        assert judge(plain, problem.prompt, ". ".join(right)).correct
    assert begun / possible == pytest.approx(rate, abs=0.04)


def _not_ready(prompt: str, known: set[str]) -> set[str]:
    igsm = corpus_named("igsm")
    quantities = igsm.graph(prompt).quantities  # type: ignore[attr-defined]
    return {each.name for each in quantities if each.name not in known and not known >= set(each.operands)}


@pytest.mark.parametrize("split", ["validation", "calibration", "test"])
def test_other_splits_have_no_mistakes(split: str) -> None:
    corpus = corpus_named("retry", {"rate": 0.5})
    assert not any("BACK" in each.solution for each in islice(problems(corpus, split, 0), 50))  # type: ignore[arg-type]


def test_a_step_that_is_taken_back_is_no_mistake_and_defines_nothing() -> None:
    corpus = corpus_named("retry")
    report = judge(corpus, PROBLEM, f"Kites BACK. Fans BACK. {RIGHT}")
    assert report.correct
    assert [step.subject for step in report.steps] == ["kites", "fans", "tiles", "kites"]
    report = judge(corpus, PROBLEM, "Tiles BACK. Kites are 5 more than tiles = 5 + 9 = 3. ")
    assert [step.verdict for step in report.steps] == ["correct", "not_ready"]
    assert judge(corpus, PROBLEM, f"Boats BACK. {RIGHT}").steps[0].verdict == "unknown"
    assert judge(corpus, PROBLEM, "Kites BACK tiles. ").steps[0].verdict == "syntax"
    assert judge(corpus_named("igsm"), PROBLEM, f"Kites BACK. {RIGHT}").steps[0].verdict == "syntax"


@pytest.mark.parametrize("cut", ["Kites", "Kites B", "Kites BACK"])
def test_one_that_breaks_off_is_unfinished(cut: str) -> None:
    report = judge(corpus_named("retry"), PROBLEM, f"Tiles are 9. {cut}")
    assert report.first_error is None
    assert report.unfinished == (13, 13 + len(cut))


def test_the_loss_leaves_wrong_names_out_where_they_are_masked_and_nothing_else() -> None:
    config = PretrainConfig(corpus=corpus_named("retry", {"rate": 0.5}), rows=4, row_length=256)
    masked = replace(config, corpus=corpus_named("retry", {"rate": 0.5, "masked": True}))
    tokenizer = config.corpus.make_tokenizer()
    plain, batch = (batch_source(each, tokenizer, 0, 1)(0) for each in (config, masked))
    assert np.array_equal(plain.token_ids, batch.token_ids)
    left_out = (plain.weights == 1) & (batch.weights == 0)
    assert np.array_equal(plain.weights[~left_out], batch.weights[~left_out])
    after = np.roll(plain.targets, -1, axis=1)
    assert np.array_equal(left_out, after == tokenizer.phrase_id(" BACK"))
    assert left_out.any()


def test_a_rate_of_one_is_refused() -> None:
    with pytest.raises(SpecError, match="rate is 1"):
        corpus_named("retry", {"rate": 1})
    assert corpus_named("retry", {"rate": 0}).draw(Random(0), "train", 3).unlearnt == frozenset()
