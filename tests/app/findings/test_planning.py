"""Branches against texts read one by one, what is asked of a problem, and balanced accuracy by hand."""

from itertools import islice

import numpy as np
import pytest
import torch

from app.findings.balanced import Answers, balanced_accuracy, best_threshold
from app.findings.branching import Branches, read_branches
from app.findings.planning_cases import can_next_cases, needed_cases
from app.findings.planning_probes import Asked
from models.corpora.corpus import DrawnProblem
from models.corpora.decoys.decoys import Decoys
from models.corpora.drawing import problems
from models.corpora.surface import surface_rows
from models.decoder import Decoder
from models.gpt2 import GPT2, GPT2Config, Positions
from models.tokenizer import Tokenizer
from tests.models.tiny import randomise

CORPUS = Decoys()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return CORPUS.make_tokenizer()


@pytest.fixture(scope="module")
def drawn() -> list[DrawnProblem]:
    return list(islice(problems(CORPUS, "test", 0, range(1, 5)), 60))


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_a_branch_is_read_as_if_it_alone_came_after_the_text(positions: Positions) -> None:
    network = GPT2(GPT2Config(20, 16, 16, 2, 2, positions))
    randomise(network, 0)
    texts = [Branches([3, 1, 4, 1, 5], [9, 2, 6]), Branches([7], [3]), Branches([2, 2], [2, 2])]
    read = read_branches(network.eval(), texts)
    decoder, layers = Decoder(network, "random"), range(3)
    branch = iter(read.tokens)
    for each, end in zip(texts, read.ends, strict=True):
        for token in each.tokens:
            alone = decoder.score([*each.text, token], layers).hidden
            for layer in layers:
                np.testing.assert_allclose(end[layer], alone[layer][-2], atol=1e-5)
            for layer, state in zip(layers, next(branch), strict=True):
                np.testing.assert_allclose(state, alone[layer][-1], atol=1e-5)


def test_asked_are_those_that_the_surface_calls_inner_and_needed_is_what_the_solution_has(
    tokenizer: Tokenizer, drawn: list[DrawnProblem]
) -> None:
    cases = needed_cases(CORPUS, tokenizer, drawn)
    assert 0 < len(cases) < len(drawn)  # with op 1 nobody can be asked
    rows = [row for row in surface_rows([case.graph for case in cases]) if row.inner]
    asked = Asked.of(cases)
    assert asked.labels.tolist() == [row.needed for row in rows]
    assert asked.cases.tolist() == [row.problem for row in rows]
    assert 0.3 < asked.labels.mean() < 0.7
    by_prompt = {CORPUS.graph(each.prompt): each for each in drawn}
    for case in cases:
        problem = by_prompt[case.graph]
        assert tokenizer.decode(case.text) == f"{problem.prompt}\n"
        for each in case.asked:
            assert each.label == (each.name.capitalize() in problem.solution)
            assert (each.distance is not None) == each.label
            assert tokenizer.decode([each.token]) == each.name.capitalize()
            if each.distance == 1:
                (asked_for,) = [it for it in case.graph.quantities if it.name == case.graph.question]
                assert each.name in asked_for.operands


def test_what_can_come_next_is_what_the_checker_takes_next(
    tokenizer: Tokenizer, drawn: list[DrawnProblem]
) -> None:
    cases = can_next_cases(CORPUS, tokenizer, drawn, seed=0)
    assert len(cases) == len(drawn)
    seen: set[bool] = set()
    for case, problem in zip(cases, drawn, strict=True):
        text = tokenizer.decode(case.text)
        assert f"{problem.prompt}\n{problem.solution}".startswith(text)
        written = text.removeprefix(f"{problem.prompt}\n")
        for each in case.asked:
            assert each.name.capitalize() not in written
            begun = f"{written}{each.name.capitalize()} are 0. "
            step = CORPUS.parse(problem.prompt).judge(begun).steps[-1]
            needed = each.distance is not None
            assert (step.verdict == "unnecessary") == (not needed)
            if needed:
                assert (step.verdict == "not_ready") == (not each.label)
            seen.add(each.label)
    assert seen == {True, False}


def test_the_best_threshold_is_that_of_a_search_through_all() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        scores = random.integers(0, 6, 30).astype(float)
        labels = random.random(30) < 0.4
        labels[:2] = (True, False)
        found = balanced_accuracy(scores >= best_threshold(scores, labels), labels)
        every = [balanced_accuracy(scores >= at, labels) for at in (*range(7), np.inf)]
        assert found == pytest.approx(max(every))


def test_a_gain_is_the_difference_and_its_interval_goes_by_problem() -> None:
    labels = np.array([True, False] * 200)
    groups = np.repeat(np.arange(40), 10)
    good, bad = labels.copy(), labels.copy()
    bad[groups < 20] ^= True  # all of half of the problems wrong
    answers = Answers({"good": good, "bad": bad}, labels, groups)
    assert answers.accuracy("good").value == 1.0
    assert answers.accuracy("bad").value == 0.5
    gain = answers.gain("good", "bad")
    assert gain.value == 0.5
    assert gain.low is not None
    assert gain.high is not None
    assert 0.3 < gain.low < 0.4 < 0.6 < gain.high < 0.7  # of 40 problems, not of 400 questions


def test_states_do_not_depend_on_what_else_is_read() -> None:
    network = GPT2(GPT2Config(20, 16, 16, 2, 2))
    randomise(network, 0)
    first, second = Branches([1, 2, 3], [4]), Branches([5, 6, 7, 8, 9, 10], [11, 12])
    together = read_branches(network, [first, second])
    alone = read_branches(network, [first])
    assert torch.allclose(torch.tensor(together.ends[0]), torch.tensor(alone.ends[0]), atol=1e-6)
    assert torch.allclose(torch.tensor(together.tokens[0]), torch.tensor(alone.tokens[0]), atol=1e-6)
