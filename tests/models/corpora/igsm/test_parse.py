import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.corpora.igsm.grammar import Equation, ParsedDefinition
from models.corpora.igsm.parse import ProblemSyntaxError, parse_problem, parse_solution
from models.errors import ModelsError

PROBLEM = (
    "Boats are 3 times kites. Oars are boats plus kites. Kites are 7. Drums are 4 more than oars. "
    "Hats are drums minus kites. How many oars?"
)
SOLUTION = (
    "Kites are 7. Boats are 3 times kites = 3 * 7 = 10. Oars are boats plus kites = 10 + 7 = 6. Answer: 6"
)


def test_problem_has_every_kind_of_definition_in_text_order() -> None:
    problem = parse_problem(PROBLEM)
    assert list(problem.definitions.items()) == [
        ("boats", ParsedDefinition("times", 3, ("kites",))),
        ("oars", ParsedDefinition("sum", 0, ("boats", "kites"))),
        ("kites", ParsedDefinition("constant", 7, ())),
        ("drums", ParsedDefinition("more", 4, ("oars",))),
        ("hats", ParsedDefinition("difference", 0, ("drums", "kites"))),
    ]
    assert problem.question == "oars"
    assert problem.values == {"kites": 7, "boats": 10, "oars": 6, "drums": 10, "hats": 3}
    assert problem.needed == {"kites", "boats", "oars"}
    assert (problem.op, problem.answer) == (3, 6)


def test_modulus_is_a_parameter() -> None:
    assert parse_problem(PROBLEM, modulus=13).values["boats"] == 8


@pytest.mark.parametrize("separator", ["\n", "  ", "\t\r\n ", ""])
def test_problem_may_be_spaced_in_any_way(separator: str) -> None:
    assert parse_problem(PROBLEM.replace(". ", f".{separator}") + "\n") == parse_problem(PROBLEM)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "must end with a question"),
        ("Kites are 7.", "must end with a question"),
        ("Kites are 7. How many kites", "How many kites"),
        ("Kites are 7. How many Kites?", "How many Kites"),
        ("Kites are 7. How many kites? Kites are 7.", r"ends in 'How many kites\? Kites are 7\.'"),
        ("Kites are 7. How many oars?", "oars are used but not defined"),
        ("Kites are oars plus oars. How many kites?", "oars are used but not defined"),
        ("Kites are 7. Kites are 7. How many kites?", "kites are defined twice"),
        ("Kites are 11. How many kites?", "number 11 .* between 0 and 10"),
        ("Kites are 07. How many kites?", "Kites are 07"),
        ("kites are 7. How many kites?", "cannot read the sentence 'kites are 7'"),
        ("KITES are 7. How many kites?", "cannot read the sentence"),
        ("\u212aites are 7. How many kites?", "cannot read the sentence"),  # a Kelvin sign lower-cases to k
        ("Kites are \u0667. How many kites?", "cannot read the sentence"),  # an Arabic seven
        ("Kites are 7 times. How many kites?", "cannot read the sentence"),
        ("Kites are times plus plus. How many kites?", "cannot read the sentence"),
        ("Kites are 7. Oars are 2 times kites = 2 * 7 = 3. How many oars?", "cannot read the sentence"),
        ("Kites are 2 times oars. Oars are 2 times kites. How many oars?", "in a circle: kites, oars"),
        ("Kites are 2 more than kites. How many kites?", "in a circle: kites"),
        ("Kites are" + " 7" * 9999 + ". How many kites?", r"Kites are 7 7 .*\.\.\."),
        ("Kites are " + "7" * 9999 + ". How many kites?", r"Kites are 7777.*\.\.\."),
    ],
)
def test_malformed_problem_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ProblemSyntaxError, match=named) as caught:
        parse_problem(text)
    assert isinstance(caught.value, ModelsError)
    assert len(str(caught.value)) < 400


def test_long_chain_of_definitions_is_no_problem() -> None:
    letters = [
        chr(97 + i) + chr(97 + j) + chr(97 + k) for i in range(16) for j in range(16) for k in range(16)
    ]
    chain = zip(letters[1:], letters, strict=False)
    text = f"{letters[0].capitalize()} are 1. " + " ".join(
        f"{name.capitalize()} are 1 more than {previous}." for name, previous in chain
    )
    problem = parse_problem(f"{text} How many {letters[-1]}?")
    assert problem.op == len(letters)
    assert problem.answer == len(letters) % 11


def test_solution_has_steps_with_their_spans() -> None:
    solution = parse_solution(SOLUTION)
    assert [SOLUTION[step.start : step.end] for step in solution.steps] == [
        "Kites are 7.",
        "Boats are 3 times kites = 3 * 7 = 10.",
        "Oars are boats plus kites = 10 + 7 = 6.",
    ]
    sentences = [step.sentence for step in solution.steps]
    assert sentences[0] is not None
    assert (sentences[0].subject, sentences[0].equation) == ("kites", None)
    assert sentences[1] is not None
    assert sentences[1].definition == ParsedDefinition("times", 3, ("kites",))
    assert sentences[1].equation == Equation(3, "*", 7, 10)
    assert (solution.answer, solution.unfinished) == (6, None)


@pytest.mark.parametrize(
    "variant",
    [
        "\n" + SOLUTION + "<|endoftext|>",
        SOLUTION + ".\n",
        SOLUTION + "<|endoftext|>Kites are 7. <|endoftext|> nonsense",
        "  " + SOLUTION.replace(" ", "\n\t "),
        SOLUTION.replace(". ", "."),
        SOLUTION.replace("Answer: 6", "Answer:6  "),
    ],
)
def test_solution_may_be_spaced_and_ended_in_any_way(variant: str) -> None:
    expected = parse_solution(SOLUTION)
    solution = parse_solution(variant)
    assert [step.sentence for step in solution.steps] == [step.sentence for step in expected.steps]
    assert (solution.answer, solution.unfinished) == (expected.answer, expected.unfinished)
    for step in solution.steps:
        assert variant[step.start].isupper()
        assert variant[step.end - 1] == "."


@pytest.mark.parametrize(
    "step",
    [
        "kites are 7.",
        "Kites are 7 = 7.",
        "Kites is 7.",
        "Kites are -7.",
        "Boats are 3 times kites.",
        "Boats are 3 times kites = 3 * 7.",
        "Boats are 3 times kites = 3 / 7 = 2.",
        "Boats are 3 times kites = 3 * 7 = 10 = 10.",
        "Boats are three times kites = 3 * 7 = 10.",
        "Boats are 3 times Kites = 3 * 7 = 10.",
        "Boats are 3 more kites = 3 + 7 = 10.",
        "Boats are 3 times kites = 3 * 7 = 1e1.",
        "Boats are 3 times kites = 3 * 7 = 12345678901.",
        "Boats are 3 times kites = 3 * 7 = \u0661.",
        "Answers: 7.",
        ".",
        "\x00\udcff.",
    ],
)
def test_step_outside_the_grammar_has_no_sentence(step: str) -> None:
    solution = parse_solution(f"Kites are 7. {step} Oars are 2.")
    assert [parsed.sentence is None for parsed in solution.steps] == [False, True, False]
    assert (solution.steps[1].start, solution.steps[1].end) == (13, 13 + len(step))


@pytest.mark.parametrize("cut", range(len(SOLUTION)))
def test_solution_cut_anywhere_is_unfinished_not_unreadable(cut: int) -> None:
    text = SOLUTION[:cut]
    solution = parse_solution(text)
    assert all(step.sentence is not None for step in solution.steps)
    assert len(solution.steps) == text.count(".")
    rest = text[text.rfind(".") + 1 :].strip()
    assert solution.answer is None
    assert ("" if solution.unfinished is None else text[slice(*solution.unfinished)]) == rest


@pytest.mark.parametrize(
    "tail", ["kit", "Kites is", "Kites are 7 Answer: 7", "Answer: 6x", "Answer: -6", "?!"]
)
def test_tail_that_cannot_go_on_is_an_unreadable_step(tail: str) -> None:
    solution = parse_solution(f"Kites are 7. {tail} ")
    assert (solution.answer, solution.unfinished) == (None, None)
    assert [(step.start, step.end) for step in solution.steps] == [(0, 12), (13, 13 + len(tail))]
    assert solution.steps[1].sentence is None


@pytest.mark.parametrize("after", ["7", "Kites are 7. Oars are 7.", ". .", "Answer: 6"])
def test_text_after_the_answer_is_one_unreadable_step(after: str) -> None:
    solution = parse_solution(f"{SOLUTION} {after}")
    assert (solution.answer, solution.unfinished) == (6, None)
    assert len(solution.steps) == 4
    assert solution.steps[3].sentence is None


@given(st.text())
def test_any_text_parses_as_a_solution(text: str) -> None:
    solution = parse_solution(text)
    spans = [(step.start, step.end) for step in solution.steps]
    spans += [] if solution.unfinished is None else [solution.unfinished]
    assert all(start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)
