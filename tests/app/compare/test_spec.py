"""What describes a comparison, and what is wrong with what does not."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.compare.spec import parse_spec
from app.decoding.sampling.params import SamplingParams
from app.errors import ParameterError
from tests.app.compare.running import GREEDY, ORACLE, WARM, given, make_spec

ITEMS = [{"prompt": "a"}]


def asked(**fields: Any) -> dict[str, Any]:
    return {"arms": [dict(GREEDY)]} | fields


def arm(**fields: Any) -> dict[str, Any]:
    return asked(arms=[dict(GREEDY) | fields])


def test_defaults_and_sampling_as_in_a_request() -> None:
    spec = parse_spec({"arms": [dict(GREEDY), dict(WARM) | {"top_p": 0.9, "top_k": -1}]})
    assert spec.baseline_arm == "greedy"
    assert spec.judges_steps
    assert spec.problems.model_dump() == {
        "source": "corpus",
        "split": "validation",
        "ops": [1, 6],
        "count": 500,
    }
    assert spec.arms[1].sampling == SamplingParams(temperature=0.7, top_p=0.9)


def test_what_is_written_is_read_again() -> None:
    spec = parse_spec(asked(**given([{"prompt": "a", "answer": "1"}, {"id": "x", "prompt": "b"}]), seed=7))
    assert parse_spec(json.loads(spec.model_dump_json())) == spec


def test_null_is_the_default() -> None:
    nulls = {"name": None, "problems": None, "seed": None, "max_tokens": None, "baseline": None}
    assert parse_spec(asked(**nulls) | {"arms": [dict(GREEDY) | {"temperature": None}]}) == parse_spec(
        asked()
    )


@pytest.mark.parametrize(
    ("data", "param", "words"),
    [
        (asked(arms=[]), "arms", "at least 1"),
        (asked(arms=[dict(GREEDY)] * 2), "arms", "'greedy' 2 times"),
        (asked(arms=[dict(GREEDY) | {"name": str(n)} for n in range(33)]), "arms", "at most 32"),
        (arm(name="a b"), "arms[0].name", "a b"),
        (arm(name=""), "arms[0].name", '""'),
        (asked(name=".."), "name", "the first no dot"),
        (arm(strategy={"kind": "gredy"}), "arms[0].strategy", "'greedy'"),
        (arm(strategy={"kind": "beam", "width": 0}), "arms[0].strategy.width", "greater than or equal to 1"),
        (arm(strategy={"kind": "beam", "breadth": 2}), "arms[0].strategy.breadth", "unknown field"),
        (arm(temperature=-1), "arms[0].temperature", "greater than or equal to 0"),
        (arm(temperature="1"), "arms[0].temperature", "valid number"),
        (arm(temprature=1), "arms[0].temprature", "unknown field"),
        (arm(logit_bias={"x": 1}), "arms[0].logit_bias", "token ids such as '42'"),
        (arm(mirostat=2, adaptive_target=0.5), "arms[0].adaptive_target", "both draw the token"),
        (asked(problem={}), "problem", "unknown field"),
        (asked(problems={"source": "mine"}), "problems", "'given'"),
        (asked(problems={"items": ITEMS}), "problems", "no 'source'"),
        (asked(problems={"source": "corpus", "split": "all"}), "problems.split", "'train'"),
        (asked(problems={"source": "corpus", "ops": [3, 1]}), "problems.ops", "smallest <= largest"),
        (asked(problems={"source": "corpus", "ops": [0, 1]}), "problems.ops", "1 <= smallest"),
        (asked(problems={"source": "corpus", "ops": [3]}), "problems.ops", "at least 2"),
        (
            asked(problems={"source": "corpus", "ops": [1, 6], "count": 5}),
            "problems.count",
            "one problem of each",
        ),
        (asked(**given([])), "problems.items", "at least 1"),
        (asked(**given([{"prompt": ""}])), "problems.items[0].prompt", "at least 1"),
        (asked(**given([{"prompt": "a", "answer": 7}])), "problems.items[0].answer", "valid string"),
        (asked(**given([{"prompt": "a", "id": "1"}, {"prompt": "b"}])), "problems.items", "'1'"),
        (
            asked(**given(ITEMS, reading={"rule": "regex", "pattern": "("})),
            "problems.reading.pattern",
            "missing )",
        ),
        (
            asked(**given(ITEMS, reading={"rule": "regex", "pattern": "a", "group": 1})),
            "problems.reading.group",
            "0 groups",
        ),
        (asked(seed=-1), "seed", "greater than or equal to 0"),
        (asked(max_tokens=0), "max_tokens", "greater than or equal to 1"),
        (asked(baseline="warm"), "baseline", "greedy"),
        (asked(latency_problems=-1), "latency_problems", "greater than or equal to 0"),
        (asked(arms=[dict(ORACLE)]) | given(ITEMS), "arms[0].strategy", "problems of the corpus"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(
    data: Mapping[str, Any], param: str, words: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        parse_spec(data)
    assert caught.value.param == param
    assert words in caught.value.message
    assert param.rpartition(".")[2].split("[")[0] in caught.value.message


@pytest.mark.parametrize("data", [None, 3, "arms", [], [{"arms": []}]])
def test_what_is_no_object_is_no_comparison(data: object) -> None:
    with pytest.raises(ParameterError, match="object with the field arms"):
        parse_spec(data)


def test_a_33rd_arm_is_refused_in_our_words() -> None:
    arms = [{**GREEDY, "name": f"a{place}"} for place in range(33)]
    with pytest.raises(ParameterError, match="arms has 33; at most 32") as caught:
        make_spec(*arms)
    assert caught.value.param == "arms"
    assert len(make_spec(*arms[:32]).arms) == 32
    with pytest.raises(ParameterError, match="arms has 100000; at most 32"):
        parse_spec({"arms": [7] * 100_000})
