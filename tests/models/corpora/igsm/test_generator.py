import re
from collections import Counter
from itertools import islice, permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.corpora.igsm.check import check_solution
from models.corpora.igsm.dataset import draw_in_split, problems
from models.corpora.igsm.graph import CONSTANT, DIFFERENCE, MORE, SUM, TIMES, Problem, draw_problem
from models.corpora.igsm.parse import parse_problem
from models.corpora.igsm.spec import NOUNS, IgsmSpec
from models.corpora.igsm.split import split_of, template
from models.corpora.igsm.text import (
    problem_phrases,
    render_problem,
    render_solution,
    solution_phrases,
    vocabulary,
)
from models.corpora.splits import SPLITS, Split, check_split
from models.errors import SpecError

KINDS = {CONSTANT: "constant", MORE: "more", TIMES: "times", SUM: "sum", DIFFERENCE: "difference"}
SPEC = IgsmSpec()


@st.composite
def drawn(draw: st.DrawFn, op_max: int = 9) -> tuple[IgsmSpec, Problem, int, int]:
    """A spec, a problem of it, and the op and number of distractors that were asked for."""
    spec = IgsmSpec(modulus=draw(st.integers(3, 40)), nouns=draw(st.integers(20, len(NOUNS))))
    op, distractors = draw(st.integers(1, op_max)), draw(st.integers(0, 6))
    return spec, draw_problem(Random(draw(st.integers(0, 2**32))), spec, op, distractors), op, distractors


def brute_force(sentences: list[str], modulus: int) -> dict[str, int]:
    """Values of all quantities that can be computed, by trying every sentence until nothing is new."""
    values: dict[str, int] = {}
    operators = {" more than ": " + ", " times ": " * ", " plus ": " + ", " minus ": " - "}
    while True:
        before = len(values)
        for sentence in sentences:
            subject, _, expression = sentence.partition(" are ")
            for words, operator in operators.items():
                expression = expression.replace(words, operator)
            if set(re.findall("[a-z]+", expression)) <= values.keys():
                values[subject.lower()] = eval(expression, {}, values) % modulus
        if len(values) == before:
            return values


def sentences_of(text: str) -> tuple[list[str], str]:
    *sentences, question = text.split(". ")
    return sentences, question.removeprefix("How many ").removesuffix("?")


@given(drawn())
def test_problem_parses_back_to_the_same_graph(case: tuple[IgsmSpec, Problem, int, int]) -> None:
    spec, problem, _, _ = case
    parsed = parse_problem(render_problem(problem), spec.modulus)
    names = problem.names
    assert [(name, d.kind, d.constant, d.operands) for name, d in parsed.definitions.items()] == [
        (names[q], KINDS[d.kind], d.constant, tuple(names[o] for o in d.operands))
        for q, d in ((q, problem.definitions[q]) for q in problem.text_order)
    ]
    assert parsed.question == names[problem.question]
    assert parsed.values == dict(zip(names, problem.values, strict=True))
    assert parsed.needed == {names[q] for q in problem.solution_order}
    assert (parsed.op, parsed.answer) == (problem.op, problem.answer)


@given(drawn())
def test_brute_force_agrees_with_every_value_and_with_what_is_needed(
    case: tuple[IgsmSpec, Problem, int, int],
) -> None:
    spec, problem, op, distractors = case
    sentences, question = sentences_of(render_problem(problem))
    assert brute_force(sentences, spec.modulus) == dict(zip(problem.names, problem.values, strict=True))
    # A quantity is needed if the question has no answer without the sentence that defines it.
    needed = [
        s for s in sentences if question not in brute_force([o for o in sentences if o != s], spec.modulus)
    ]
    assert len(needed) == op == problem.op
    assert len(sentences) == op + distractors


@given(drawn())
def test_reference_solution_is_correct(case: tuple[IgsmSpec, Problem, int, int]) -> None:
    spec, problem, op, _ = case
    text = render_solution(problem)
    report = check_solution(render_problem(problem), text, spec.modulus)
    assert report.correct
    assert report.answer == problem.answer
    steps = [text[step.start : step.end] for step in report.steps]
    assert len(steps) == op
    assert text == " ".join((*steps, f"Answer: {problem.answer}"))


@given(drawn())
def test_phrases_are_the_text_and_within_the_vocabulary(case: tuple[IgsmSpec, Problem, int, int]) -> None:
    spec, problem, _, _ = case
    phrases = problem_phrases(problem) + solution_phrases(problem)
    assert "".join(phrases) == f"{render_problem(problem)}\n{render_solution(problem)}"
    assert set(phrases) <= set(vocabulary(spec))


def test_sentences_and_documents_are_short() -> None:
    random = Random(0)
    for _ in range(300):
        problem = draw_problem(random, SPEC, 5, 3)
        phrases = problem_phrases(problem)
        assert len(phrases) + len(solution_phrases(problem)) + 1 <= 110
        ends = [index for index, phrase in enumerate(phrases) if phrase == ". "]
        assert max(end - start for start, end in zip([-1, *ends], ends, strict=False)) <= 8


@given(st.sampled_from(SPLITS), st.integers(), st.integers(1, 4), st.integers(0, 4))
def test_stream_depends_on_its_arguments_alone(split: str, seed: int, low: int, more: int) -> None:
    name, ops = check_split(split), range(low, low + more + 1)
    first, second = (list(islice(problems(SPEC, name, seed, ops), 5)) for _ in range(2))
    assert first == second
    assert all(problem.op in ops and split_of(problem) == split for problem in first)
    assert first != list(islice(problems(SPEC, name, seed + 1, ops), 5))


def test_stream_has_every_op_and_number_of_distractors() -> None:
    spec = IgsmSpec(op_min=2, op_max=5, distractors_min=1, distractors_max=3)
    sample = list(islice(problems(spec, "test", 0), 1000))
    ops = Counter(problem.op for problem in sample)
    distractors = Counter(len(problem.names) - problem.op for problem in sample)
    assert (ops.keys(), distractors.keys()) == ({2, 3, 4, 5}, {1, 2, 3})
    assert min(ops.values()) > 200  # 250 expected
    assert min(distractors.values()) > 250  # 333 expected


def test_every_kind_and_number_occurs() -> None:
    random = Random(0)
    definitions = Counter(
        (d.kind, d.constant) for _ in range(2000) for d in draw_problem(random, SPEC, 4, 3).definitions
    )
    constants = {kind: {c for k, c in definitions if k == kind} for kind in KINDS}
    assert constants == {
        CONSTANT: set(range(11)),
        MORE: set(range(1, 11)),
        TIMES: set(range(2, 11)),
        SUM: {0},
        DIFFERENCE: {0},
    }


def test_splits_share_no_template() -> None:
    templates = {
        split: {template(problem) for problem in islice(problems(SPEC, split, 3, range(1, 8)), 500)}
        for split in SPLITS
    }
    for split in SPLITS:
        others = set[str]().union(*(templates[other] for other in SPLITS if other != split))
        assert not templates[split] & others
        assert len(templates[split]) > 100


def solution_orders(problem: Problem) -> list[tuple[int, ...]]:
    return [
        order
        for order in permutations(problem.solution_order)
        if all(
            order.index(operand) < order.index(quantity)
            for quantity in order
            for operand in problem.definitions[quantity].operands
        )
    ]


@given(drawn(op_max=6), st.randoms(use_true_random=False))
def test_split_is_that_of_every_problem_with_the_same_solution(
    case: tuple[IgsmSpec, Problem, int, int], random: Random
) -> None:
    spec, problem, op, _ = case
    other = problem._replace(
        names=tuple(random.sample(spec.names, len(problem.names))),
        definitions=tuple(
            d._replace(constant=random.randrange(spec.modulus) if d.kind in (CONSTANT, MORE, TIMES) else 0)
            for d in problem.definitions
        ),
        solution_order=random.choice(solution_orders(problem)),
    )
    assert split_of(other) == split_of(problem)
    if op > 3:  # below, what else stands in the text is part of the template
        order = tuple(random.sample(range(op), op))
        fewer = other._replace(
            names=other.names[:op],
            definitions=other.definitions[:op],
            values=other.values[:op],
            text_order=order,
        )
        assert split_of(fewer) == split_of(problem)


@given(drawn(op_max=6), st.data())
def test_split_ignores_how_quantities_are_numbered(
    case: tuple[IgsmSpec, Problem, int, int], data: st.DataObject
) -> None:
    _, problem, _, _ = case
    count = len(problem.names)
    new = data.draw(st.permutations(range(count)))
    old = [new.index(q) for q in range(count)]
    renumbered = Problem(
        names=tuple(problem.names[old[q]] for q in range(count)),
        definitions=tuple(
            problem.definitions[old[q]]._replace(
                operands=tuple(new[o] for o in problem.definitions[old[q]].operands)
            )
            for q in range(count)
        ),
        values=tuple(problem.values[old[q]] for q in range(count)),
        text_order=tuple(new[q] for q in problem.text_order),
        solution_order=tuple(new[q] for q in problem.solution_order),
        question=new[problem.question],
    )
    assert render_problem(renumbered) == render_problem(problem)
    assert split_of(renumbered) == split_of(problem)


def test_shares_of_the_splits() -> None:
    random = Random(0)
    splits = {template(p): split_of(p) for p in (draw_problem(random, SPEC, 6, 0) for _ in range(6000))}
    shares = {split: count / len(splits) for split, count in Counter(splits.values()).items()}
    expected = {"train": 0.80, "validation": 0.05, "calibration": 0.05, "test": 0.10}
    assert shares == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_problems_of_every_op(split: str) -> None:
    random = Random(0)
    for op in range(1, SPEC.op_max + SPEC.ood_extra + 1):
        assert draw_in_split(random, SPEC, check_split(split), op).op == op


def test_split_without_a_template_is_refused_instead_of_searched_for_ever() -> None:
    spec = IgsmSpec(distractors_max=0)
    lone = split_of(draw_problem(Random(0), spec, 1, 0))
    other: Split = "test" if lone == "train" else "train"
    assert draw_in_split(Random(0), spec, lone, 1).op == 1
    with pytest.raises(SpecError, match=f"no problem of op 1 with 0 to 0 distractors .* '{other}'"):
        draw_in_split(Random(0), spec, other, 1)


@pytest.mark.parametrize("op", [0, 58])
def test_op_without_enough_nouns_is_refused(op: int) -> None:
    with pytest.raises(SpecError, match=f"op is {op}; it must be between 1 and 57"):
        draw_in_split(Random(0), SPEC, "train", op)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"modulus": 2}, "modulus is 2; it must be between 3 and 99"),
        ({"nouns": 61}, "nouns is 61; it must be between 4 and 60"),
        ({"op_min": 0}, "op_min is 0; it must be between 1 and 5"),
        ({"op_min": 3, "op_max": 2}, "op_m.. is .; it must be between"),
        ({"distractors_min": 4}, "distractors_min is 4; it must be between 0 and 3"),
        ({"distractors_max": 21}, "distractors_max is 21"),
        ({"ood_extra": -1}, "ood_extra is -1"),
        ({"nouns": 11}, r"op_max \+ ood_extra \+ distractors_max = 12 .* nouns is 11"),
    ],
)
def test_spec_outside_its_range_is_refused(parameters: dict[str, int], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        IgsmSpec(**parameters)


def test_unknown_split_is_refused() -> None:
    with pytest.raises(SpecError, match="no split 'dev'; choose one of train, validation, calibration, test"):
        check_split("dev")


def test_nouns_are_distinct_plain_words() -> None:
    assert len(set(NOUNS)) == len(NOUNS) == 60
    assert all(re.fullmatch("[a-z]+", noun) for noun in NOUNS)
