"""Every registered corpus keeps what `models.corpora.corpus.Corpus` promises; refusals name what there is."""

import re
from itertools import islice
from random import Random
from typing import get_args

import pytest

from models.corpora.abilities import WithGraph, WithStepStarts, require
from models.corpora.corpus import CORRECT, Corpus, ProblemSyntaxError, judge
from models.corpora.drawing import draw_set, problems
from models.corpora.igsm.check import Verdict
from models.corpora.registry import CORPORA, card_of, corpus_named, corpus_of, why_none
from models.corpora.splits import SPLITS, split_of_template
from models.errors import ArtifactError, SpecError


@pytest.fixture(params=CORPORA)
def corpus(request: pytest.FixtureRequest) -> Corpus:
    return corpus_named(request.param)


def test_a_right_solution_is_right_and_every_beginning_of_it_has_no_mistake(corpus: Corpus) -> None:
    for size in corpus.sizes.all:
        for problem in draw_set(corpus, "test", size, 5, seed=0):
            assert problem.size == size
            assert judge(corpus, problem.prompt + corpus.layout.solution_start, problem.solution).correct
            assert corpus.parse(problem.prompt).answer == problem.answer
            assert problem.solution_phrases[0] == corpus.layout.solution_start
            assert corpus.layout.answer_marker in problem.solution
            if corpus.answers:
                assert problem.answer in corpus.answers
            for length in range(len(problem.solution)):
                assert judge(corpus, problem.prompt, problem.solution[:length]).first_error is None


def test_a_wrong_solution_has_a_mistake_of_the_corpus(corpus: Corpus) -> None:
    for problem in draw_set(corpus, "test", corpus.sizes.max, 20, seed=0):
        damaged = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), problem.solution, count=1)
        report = judge(corpus, problem.prompt, f"{damaged} and more.")
        assert not report.correct
        assert {step.verdict for step in report.steps} <= set(corpus.verdicts)
    assert next(iter(corpus.verdicts)) == CORRECT


def test_phrases_are_tokenised_alone_as_in_the_whole_text(corpus: Corpus) -> None:
    tokenizer = corpus.make_tokenizer()
    for problem in islice(problems(corpus, "test", 1, corpus.sizes.all), 30):
        phrases = [*problem.problem_phrases, *problem.solution_phrases]
        alone = [token_id for phrase in phrases for token_id in tokenizer.encode(phrase)]
        assert tokenizer.encode("".join(phrases)) == alone
        assert len(alone) == len(phrases)
    assert len(tokenizer.encode(corpus.layout.step_end)) == 1


def test_problems_are_of_their_split_and_depend_on_the_seed_alone(corpus: Corpus) -> None:
    for split in SPLITS:
        drawn = draw_set(corpus, split, corpus.sizes.trained_max, 10, seed=3)
        assert drawn == draw_set(corpus, split, corpus.sizes.trained_max, 12, seed=3)[:10]
        assert {split_of_template(problem.template) for problem in drawn} == {split}
    with pytest.raises(SpecError, match="must be between"):
        corpus.draw(Random(0), "train", 1000)


def test_a_card_brings_the_corpus_back(corpus: Corpus) -> None:
    number = next(name for name, value in corpus.settings.model_dump().items() if isinstance(value, int))
    changed = corpus_named(corpus.name, {number: str(getattr(corpus.settings, number) + 2)})
    assert changed.settings != corpus.settings
    for each in (corpus, changed):
        assert corpus_of({"corpus": card_of(each)}) == each
    with pytest.raises(ArtifactError, match=rf"there is no setting 'colour'; there are .*{number}"):
        corpus_of({"corpus": {**card_of(corpus), "colour": 3}})
    with pytest.raises(SpecError, match=f"{number} is 'many'"):
        corpus_named(corpus.name, {number: "many"})


def test_what_is_no_problem_gets_a_reason(corpus: Corpus) -> None:
    with pytest.raises(ProblemSyntaxError):
        corpus.parse("Once upon a time")
    report = judge(corpus, "Once upon a time", "Answer: 1")
    assert report.problem_error
    assert not report.correct


def test_unknown_names_are_told_the_known_ones() -> None:
    known = "igsm, sums, decoys, bios"
    with pytest.raises(SpecError, match=f"there is no corpus 'nothing'; choose one of {known}"):
        corpus_named("nothing")
    for card in ({}, {"corpus": "none"}, {"corpus": {"name": "other", "modulus": 3}}):
        assert corpus_of(card) is None
    assert "'other', which is not known here; known are igsm, sums, decoys, bios" in why_none(
        {"corpus": {"name": "other"}}
    )


def test_abilities_are_refused_by_name_where_they_are_lacking() -> None:
    igsm, sums = corpus_named("igsm"), corpus_named("sums")
    [problem] = draw_set(igsm, "test", 4, 1, seed=0)
    graph, starts = require(igsm, "graph"), require(igsm, "step_starts")
    quantities = graph.graph(problem.prompt).quantities
    assert starts.step_starts(problem.prompt) == {each.name.capitalize(): each.needed for each in quantities}
    assert sum(each.needed for each in quantities) == 4
    assert {each.kind for each in quantities} <= set(graph.graph_kinds)
    assert not isinstance(sums, WithGraph | WithStepStarts)
    with pytest.raises(SpecError, match="the corpus 'sums' has no step_starts"):
        require(sums, "step_starts")


def test_the_verdicts_of_igsm_are_those_of_its_checker() -> None:
    assert tuple(corpus_named("igsm").verdicts) == get_args(Verdict)


@pytest.mark.parametrize(
    ("solution", "verdicts", "answer", "missing"),
    [
        ("7 + 5 = 2. 2 + 9 = 1. Answer: 1", ["correct", "correct"], 1, ()),
        ("7 + 5 = 3. 3 + 9 = 2. Answer: 2", ["arithmetic", "correct"], 2, ()),
        ("7 + 9 = 6. 6 + 5 = 1. Answer: 1", ["terms", "terms"], 1, ()),
        ("7 + 5 = 2. Answer: 1", ["correct"], 1, ("+ 9",)),
        ("7 + 5 = 2. 2 + 9 = 1. 1 + 1 = 2. Answer: 2", ["correct", "correct", "superfluous"], 2, ()),
        ("Well. 7 + 5 = 2.", ["syntax", "correct"], None, ("+ 9",)),
        ("7 + 5 = 2. 2 + 9 = 1. Answer: 1 or 2", ["correct", "correct", "syntax"], 1, ()),
    ],
)
def test_sums_are_judged_term_by_term(
    solution: str, verdicts: list[str], answer: int | None, missing: tuple[str, ...]
) -> None:
    report = judge(corpus_named("sums"), "7 + 5 + 9?", solution)
    assert [step.verdict for step in report.steps] == verdicts
    assert (report.answer, report.missing) == (answer, missing)
    assert report.correct == (solution == "7 + 5 = 2. 2 + 9 = 1. Answer: 1")
