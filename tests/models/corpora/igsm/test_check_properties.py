import re
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.corpora.igsm.check import check_parsed, check_solution, check_steps
from models.corpora.igsm.graph import Problem, draw_problem
from models.corpora.igsm.parse import parse_problem
from models.corpora.igsm.spec import NOUNS, IgsmSpec
from models.corpora.igsm.text import render_problem, render_solution

SPEC = IgsmSpec()
WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        "Kites are 7. Boats are 3 times kites. Oars are boats minus kites = 10 - 7 = 3. "
        "Pens are 11 more than oars plus hats. How many oars? Answer: 3 + * . ?",
    )
)


def problem_and_steps(problem: Problem) -> tuple[str, list[str], str]:
    """The problem's text, its reference steps, and its answer's sentence."""
    *steps, answer = re.split(r"(?<=\.) ", render_solution(problem))
    return render_problem(problem), steps, answer


@st.composite
def drawn(draw: st.DrawFn, op_min: int = 1, distractors_min: int = 0) -> Problem:
    random = Random(draw(st.integers(0, 2**32)))
    return draw_problem(random, SPEC, draw(st.integers(op_min, 8)), draw(st.integers(distractors_min, 4)))


@given(drawn(op_min=2), st.data())
def test_step_moved_before_one_it_uses_is_not_ready(problem: Problem, data: st.DataObject) -> None:
    text, steps, answer = problem_and_steps(problem)
    order = problem.solution_order
    late = data.draw(st.sampled_from([q for q in order if problem.definitions[q].operands]))
    early = data.draw(st.sampled_from(problem.definitions[late].operands))
    first, second = order.index(early), order.index(late)
    steps[first], steps[second] = steps[second], steps[first]
    report = check_solution(text, " ".join((*steps, answer)))
    assert report.first_error == first
    assert report.steps[first].verdict == "not_ready"
    assert report.missing == ()


@given(drawn(op_min=2), st.data())
def test_the_reason_given_for_a_wrong_result_is_true(problem: Problem, data: st.DataObject) -> None:
    text, steps, _ = problem_and_steps(problem)
    index = data.draw(st.sampled_from([index for index, step in enumerate(steps) if "=" in step]))
    equation, _, right = steps[index].removesuffix(".").rpartition(" = ")
    other = data.draw(st.integers(0, 99).filter(lambda value: value != int(right)))
    steps[index] = f"{equation} = {other}."
    detail = check_solution(text, " ".join(steps)).steps[index].detail
    told = re.fullmatch(r"(\d+) ([+*-]) (\d+) is (-?\d+)(?:, which is (\d+) modulo 11)?, not (\d+)", detail)
    assert told is not None, detail
    left, operator, second, exact, reduced, wrong = told.groups()
    computed = {"+": int.__add__, "*": int.__mul__, "-": int.__sub__}[operator](int(left), int(second))
    assert (computed, computed % SPEC.modulus) == (int(exact), int(right))
    assert reduced == (None if computed == int(right) else right)
    assert wrong == str(other)


@given(drawn(), st.data())
def test_changed_number_is_formula_before_the_equation_and_arithmetic_in_it(
    problem: Problem, data: st.DataObject
) -> None:
    text, steps, answer = problem_and_steps(problem)
    index = data.draw(st.integers(0, len(steps) - 1))
    number = data.draw(st.sampled_from(list(re.finditer(r"\d+", steps[index]))))
    other = data.draw(st.integers(0, 99).filter(lambda value: value != int(number[0])))
    in_equation = "=" in steps[index][: number.start()]
    steps[index] = f"{steps[index][: number.start()]}{other}{steps[index][number.end() :]}"
    report = check_solution(text, " ".join((*steps, answer)))
    assert report.first_error == index
    assert report.steps[index].verdict == ("arithmetic" if in_equation else "formula")


@given(drawn(), st.data())
def test_dropped_step_is_missing_and_what_uses_it_not_ready(problem: Problem, data: st.DataObject) -> None:
    text, steps, answer = problem_and_steps(problem)
    index = data.draw(st.integers(0, len(steps) - 1))
    dropped = problem.solution_order[index]
    del steps[index]
    report = check_solution(text, " ".join((*steps, answer)))
    rest = [quantity for quantity in problem.solution_order if quantity != dropped]
    expected = [
        "not_ready" if dropped in problem.definitions[quantity].operands else "correct" for quantity in rest
    ]
    assert [step.verdict for step in report.steps] == expected
    assert report.missing == (problem.names[dropped],)
    assert report.answer_correct
    assert not report.correct


@given(drawn(distractors_min=1), st.data())
def test_defining_a_distractor_is_unnecessary(problem: Problem, data: st.DataObject) -> None:
    text, steps, answer = problem_and_steps(problem)
    distractor = data.draw(st.integers(problem.op, len(problem.names) - 1))
    every = problem._replace(solution_order=tuple(range(len(problem.names))))
    index = data.draw(st.integers(0, len(steps)))
    steps.insert(index, problem_and_steps(every)[1][distractor])
    report = check_solution(text, " ".join((*steps, answer)))
    wrong = ["correct"] * len(steps)
    wrong[index] = "unnecessary"
    assert [step.verdict for step in report.steps] == wrong


@given(drawn(), st.data())
def test_renamed_subject_is_unknown_and_renamed_operand_formula(
    problem: Problem, data: st.DataObject
) -> None:
    text, steps, answer = problem_and_steps(problem)
    index = data.draw(st.integers(0, len(steps) - 1))
    stranger = data.draw(st.sampled_from([noun for noun in NOUNS if noun not in problem.names]))
    quantity = problem.solution_order[index]
    names = [problem.names[q] for q in (quantity, *problem.definitions[quantity].operands)]
    name = data.draw(st.sampled_from(names))
    before = steps[index]
    steps[index] = before.replace(name, stranger).replace(name.capitalize(), stranger.capitalize())
    report = check_solution(text, " ".join((*steps, answer)))
    assert report.first_error == index
    assert report.steps[index].verdict == ("unknown" if name == names[0] else "formula")


@given(drawn(), st.data())
def test_repeated_step_is_repeated(problem: Problem, data: st.DataObject) -> None:
    text, steps, answer = problem_and_steps(problem)
    original = data.draw(st.integers(0, len(steps) - 1))
    copy = data.draw(st.integers(original + 1, len(steps)))
    steps.insert(copy, steps[original])
    report = check_solution(text, " ".join((*steps, answer)))
    wrong = ["correct"] * len(steps)
    wrong[copy] = "repeated"
    assert [step.verdict for step in report.steps] == wrong


@given(drawn(), st.data())
def test_garbled_step_is_syntax(problem: Problem, data: st.DataObject) -> None:
    text, steps, answer = problem_and_steps(problem)
    index = data.draw(st.integers(0, len(steps) - 1))
    words = steps[index][:-1].split(" ")
    place = data.draw(st.integers(0, len(words) - 1))
    words[place] = data.draw(st.sampled_from(("", "are", "=", "boats,", "=7", "\ufffd", "KITES", "--")))
    garbled = " ".join(words) + "."
    assume(garbled != steps[index])
    steps[index] = garbled
    report = check_solution(text, " ".join((*steps, answer)))
    assert report.first_error == index
    assert report.steps[index].verdict == "syntax"


@given(drawn(), st.data())
def test_verdicts_so_far_stay_as_a_solution_grows(problem: Problem, data: st.DataObject) -> None:
    text, steps, answer = problem_and_steps(problem)
    shuffled = data.draw(st.permutations(steps))
    whole = "\n" + " ".join((*shuffled, answer))
    parsed = parse_problem(text)
    final = check_parsed(parsed, whole).steps
    for cut in range(len(whole) + 1):
        so_far = check_steps(parsed, whole[:cut])
        assert so_far == final[: whole[:cut].count(".")]


@given(
    st.one_of(
        st.text(), st.lists(WORDS).map(" ".join), st.text(st.characters(categories=["Cs", "Nd", "Zs", "Lu"]))
    ),
    st.one_of(drawn().map(render_problem), st.text(), st.lists(WORDS).map(" ".join)),
    st.integers(-2, 12),
)
@settings(max_examples=300)
def test_check_never_raises(solution: str, problem: str, modulus: int) -> None:
    report = check_solution(problem, solution, modulus)
    assert report.correct == (
        report.answer_correct and not report.missing and all(s.verdict == "correct" for s in report.steps)
    )
    assert all(0 <= step.start < step.end <= len(solution) for step in report.steps)


@given(drawn(), st.text(), st.data())
def test_check_never_raises_on_damaged_solutions(problem: Problem, damage: str, data: st.DataObject) -> None:
    solution = render_solution(problem)
    start = data.draw(st.integers(0, len(solution)))
    end = data.draw(st.integers(start, len(solution)))
    report = check_solution(render_problem(problem), solution[:start] + damage + solution[end:])
    assert report.problem_error is None
