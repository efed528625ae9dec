"""/v1/problems and /v1/problems/check over real HTTP, against `demur corpus` and by hand."""

import json
from collections.abc import Generator, Mapping
from random import Random
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from app.cli import app
from models.corpora.igsm.dataset import draw_in_split
from models.corpora.igsm.spec import IgsmSpec
from tests.app.api.server import Server
from tests.app.api.test_bad_requests import error_of

PROBLEM = "Kites are 7. Oars are kites minus boats. Boats are 3 times kites. How many boats?"


@pytest.fixture
def corpus(corpus_server: Server) -> Generator[httpx2.Client]:
    """Plain HTTP to a server of a model with a corpus."""
    with httpx2.Client(base_url=corpus_server.url, timeout=30) as client:
        yield client


def check(corpus: httpx2.Client, prompt: str, completion: str) -> dict[str, Any]:
    answer = corpus.post("/v1/problems/check", json={"prompt": prompt, "completion": completion})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_drawn_problems_are_those_of_an_evaluation(corpus: httpx2.Client) -> None:
    query = {"op": 4, "split": "validation", "seed": 3, "count": 5}
    answer = corpus.get("/v1/problems", params=query).json()
    assert answer["object"] == "list"
    assert answer["ops"] == {"min": 1, "max": 9, "trained_max": 5}
    random = Random("evaluate/validation/4/3")
    expected = [draw_in_split(random, IgsmSpec(), "validation", 4) for _ in range(5)]
    assert [int(item["answer"]) for item in answer["data"]] == [problem.answer for problem in expected]
    for number, (item, problem) in enumerate(zip(answer["data"], expected, strict=True)):
        assert item["id"] == f"4/{number}"
        assert (item["op"], item["split"], item["seed"]) == (4, "validation", 3)
        graph = item["graph"]
        assert graph["question"] == problem.names[problem.question]
        assert [each["name"] for each in graph["quantities"]] == [
            problem.names[index] for index in problem.text_order
        ]
        values = dict(zip(problem.names, problem.values, strict=False))
        needed = {problem.names[index] for index in problem.solution_order}
        for each in graph["quantities"]:
            assert each["value"] == values[each["name"]]
            assert each["needed"] == (each["name"] in needed)
    shorter = corpus.get("/v1/problems", params=query | {"count": 2}).json()["data"]
    assert shorter == answer["data"][:2]


def test_a_drawn_problem_is_a_prompt_and_its_solution_is_right(corpus: httpx2.Client) -> None:
    for op in (1, 5, 9):
        item = corpus.get("/v1/problems", params={"op": op}).json()["data"][0]
        runner = CliRunner().invoke(app, ["corpus", "check", item["prompt"], item["solution"], "--json"])
        assert runner.exit_code == 0, runner.output
        assert item["prompt"].endswith("?\n")
        verdict = check(corpus, item["prompt"], item["solution"])
        assert verdict["correct"]
        assert verdict["answer"] == verdict["expected"] == item["answer"]
        assert verdict["graph"] == item["graph"]
        assert len(verdict["steps"]) == op
        body = {"prompt": item["prompt"], "max_tokens": 3, "temperature": 0}
        assert corpus.post("/v1/completions", json=body).status_code == 200


def test_without_a_query_it_is_the_largest_problem_of_training(corpus: httpx2.Client) -> None:
    (item,) = corpus.get("/v1/problems").json()["data"]
    assert (item["op"], item["split"], item["seed"]) == (5, "test", 0)


def test_a_solution_is_judged_step_by_step(corpus: httpx2.Client) -> None:
    completion = "\nKites are 7. Boats are 3 times kites = 3 * 7 = 9. Answer: 9"
    verdict = check(corpus, PROBLEM, completion)
    assert verdict["problem_error"] is None
    assert [step["verdict"] for step in verdict["steps"]] == ["correct", "arithmetic"]
    assert [completion[step["start"] : step["end"]] for step in verdict["steps"]] == [
        "Kites are 7.",
        "Boats are 3 times kites = 3 * 7 = 9.",
    ]
    assert verdict["steps"][1]["quantity"] == "boats"
    assert verdict["steps"][1]["detail"] == "3 * 7 is 21, which is 10 modulo 11, not 9"
    assert (verdict["answer"], verdict["expected"]) == ("9", "10")
    assert not verdict["correct"]
    assert not verdict["answer_correct"]
    assert verdict["graph"] == {
        "question": "boats",
        "quantities": [
            {"name": "kites", "kind": "constant", "operands": [], "constant": 7, "value": 7, "needed": True},
            {
                "name": "oars",
                "kind": "difference",
                "operands": ["kites", "boats"],
                "constant": None,
                "value": 8,
                "needed": False,
            },
            {
                "name": "boats",
                "kind": "times",
                "operands": ["kites"],
                "constant": 3,
                "value": 10,
                "needed": True,
            },
        ],
    }


def test_a_solution_may_break_off_anywhere(corpus: httpx2.Client) -> None:
    whole = "Kites are 7. Boats are 3 times kites = 3 * 7 = 10. Answer: 10"
    for length in range(len(whole)):
        verdict = check(corpus, PROBLEM, whole[:length])
        assert all(step["verdict"] == "correct" for step in verdict["steps"]) or whole[length - 1] == "."
    broken = check(corpus, PROBLEM, "Kites are 7. Boats are 3 ti")
    assert broken["unfinished"] == [13, 27]
    assert broken["missing"] == ["boats"]
    assert broken["answer"] is None
    assert check(corpus, PROBLEM, "")["missing"] == ["kites", "boats"]


@pytest.mark.parametrize("prompt", ["", "hello", "Kites are 99. How many kites?", "😀" * 100, "?" * 1000])
def test_what_is_no_problem_gets_a_reason(corpus: httpx2.Client, prompt: str) -> None:
    verdict = check(corpus, prompt, "Answer: 1")
    assert verdict["problem_error"]
    assert verdict["graph"] is None
    assert verdict["steps"] == []
    assert verdict["correct"] is False


@pytest.mark.parametrize(
    ("query", "param", "allowed"),
    [
        ({"op": "10"}, "op", "op 1 to 9"),
        ({"op": "0"}, "op", "greater than or equal to 1"),
        ({"op": "9" * 30}, "op", "less than or equal to 40"),
        ({"op": "four"}, "op", "valid integer"),
        ({"op": ""}, "op", "valid integer"),
        ({"count": "0"}, "count", "1 to 1000"),
        ({"count": "1001"}, "count", "1 to 1000"),
        ({"count": "1e9"}, "count", "1 to 1000"),
        ({"count": "9" * 5000}, "count", "1 to 1000"),
        ({"split": "dev"}, "split", "train, validation, calibration or test"),
        ({"seed": str(2**63)}, "seed", "64-bit"),
        ({"seed": "x"}, "seed", "64-bit"),
        ({"ops": "3"}, "ops", "unknown field 'ops'"),
    ],
)
def test_a_bad_query_names_the_parameter(
    corpus: httpx2.Client, query: Mapping[str, str], param: str, allowed: str
) -> None:
    answer = corpus.get("/v1/problems", params=query)
    assert answer.status_code == 400, answer.text
    error = error_of(answer)
    assert error["param"] == param
    assert allowed in error["message"]
    assert len(error["message"]) < 500


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": 3, "completion": ""}, "prompt"),
        ({"prompt": ["a"], "completion": ""}, "prompt"),
        ({"prompt": "a", "completion": None}, "completion"),
        ({"prompt": "a"}, "completion"),
        ({"completion": "a"}, "prompt"),
        ({"prompt": "a" * 100_001, "completion": ""}, "prompt"),
        ({"prompt": "", "completion": "", "modulus": 7}, "modulus"),
        ([], None),
    ],
)
def test_a_bad_body_names_the_field(corpus: httpx2.Client, body: object, param: str | None) -> None:
    answer = corpus.post("/v1/problems/check", json=body)
    assert answer.status_code == 400
    assert error_of(answer)["param"] == param


def test_a_body_has_to_be_json(corpus: httpx2.Client) -> None:
    headers = {"content-type": "application/json"}
    assert error_of(corpus.post("/v1/problems/check", content="{", headers=headers))["code"] == "invalid_json"
    half = json.dumps({"prompt": "\ud800", "completion": ""})
    assert (
        error_of(corpus.post("/v1/problems/check", content=half, headers=headers))["code"] == "invalid_json"
    )


def test_long_texts_are_judged_in_time(corpus: httpx2.Client) -> None:
    sentences = "".join(f"{word.capitalize()} are 1. " for word in words(4000))
    problem = f"{sentences}How many {next(iter(words(1)))}?"
    assert check(corpus, problem, sentences)["problem_error"] is None
    assert check(corpus, problem, "Answer: " * 10_000)["answer"] is None


def words(count: int) -> list[str]:
    """Different nouns."""
    letters = "bcdfghjklmnpqrst"
    return ["z" + "".join(letters[number >> shift & 15] for shift in (8, 4, 0)) for number in range(count)]


@pytest.mark.parametrize("route", ["/v1/problems", "/v1/problems/check"])
def test_a_model_without_a_corpus_has_no_problems(http: httpx2.Client, route: str) -> None:
    body = {"prompt": PROBLEM, "completion": "Answer: 1"}
    answer = http.post(route, json=body) if route.endswith("check") else http.get(route)
    assert answer.status_code == 404
    error = error_of(answer)
    assert error["code"] == "no_corpus"
    assert "demur pretrain" in error["message"]


def test_the_schema_has_the_largest_op_of_the_served_corpus(corpus: httpx2.Client) -> None:
    parameters = corpus.get("/openapi.json").json()["paths"]["/v1/problems"]["get"]["parameters"]
    [op] = [each["schema"] for each in parameters if each["name"] == "op"]
    [largest] = [branch["maximum"] for branch in op["anyOf"] if branch["type"] == "integer"]
    assert corpus.get("/v1/problems", params={"op": largest}).status_code == 200
    assert corpus.get("/v1/problems", params={"op": largest + 1}).status_code == 400


def test_draws_are_of_their_split(corpus: httpx2.Client) -> None:
    first = corpus.get("/v1/problems", params={"op": 3, "split": "calibration", "seed": 9}).json()["data"][0]
    again = draw_in_split(Random("evaluate/calibration/3/9"), IgsmSpec(), "calibration", 3)
    assert first["answer"] == str(again.answer)
