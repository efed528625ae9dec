"""Comparisons over several problem sets: each is what it is alone, and all count together."""

from pathlib import Path
from typing import Any

import pytest

from app.compare.folder import RunFolder
from app.compare.problem_sets.gym_set import GymSet
from app.compare.problems import Allowance, problem_set_of
from app.compare.report.page import render
from app.compare.server.findings import write_report
from app.compare.several_sets import SeveralSets
from app.compare.spec import ComparisonSpec
from app.compare.summary import measure_of, problems_of
from app.errors import ParameterError
from models.checkpoint import LoadedCheckpoint
from tests.app.compare.running import GREEDY, ORACLE, WARM, lasting, make_spec, run

CORPUS: dict[str, Any] = {"source": "corpus", "split": "validation", "ops": [2, 3], "count": 4}
SUMS: dict[str, Any] = {
    "source": "given",
    "items": [{"prompt": f"{number} + 1 =", "answer": str(number + 1)} for number in range(5)],
    "reading": {"rule": "last_number"},
    "examples": 1,
    "template": {"form": "text", "question": "Q: {prompt}"},
}
TEXTS: dict[str, Any] = {"source": "given", "items": [{"prompt": "Once"}, {"prompt": "Twice"}]}
PARTS: dict[str, Any] = {
    "source": "given",
    "items": [{"prompt": "Name both", "answer": "a, b"}],
    "scoring": {"kind": "set", "credit": "f1"},
}


def several(**sets: dict[str, Any]) -> dict[str, Any]:
    named = [{"name": name, "problems": problems} for name, problems in sets.items()]
    return {"problems": {"source": "several", "sets": named}}


def spec_of(*arms: Any, **sets: dict[str, Any]) -> ComparisonSpec:
    return make_spec(*(arms or (GREEDY, WARM)), **several(**sets))


def test_every_set_is_what_it_is_alone(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    spec = spec_of(worlds=CORPUS, sums=SUMS)
    together = lasting(run(checkpoint, spec, tmp_path / "together"))
    assert problems_of(spec) == 8
    for name, problems in (("worlds", CORPUS), ("sums", SUMS)):
        alone = lasting(run(checkpoint, make_spec(GREEDY, WARM, problems=problems), tmp_path / name))
        mine = {key: each for key, each in together.items() if key[0].startswith(f"{name}/")}
        assert len(mine) == len(alone) == 8
        for (id, arm), outcome in alone.items():
            found = mine[f"{name}/{id}", arm]
            right = outcome["correct"] if outcome["solved"] is None else outcome["solved"]
            changed = {"problem": f"{name}/{id}", "group": name, "score": float(right)}
            assert found == outcome | changed


def test_sets_are_groups_of_the_report_and_asked_in_turn(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    spec = spec_of(worlds=CORPUS, sums=SUMS)
    run(checkpoint, spec, tmp_path)
    ids = [line.split('"')[3] for line in (tmp_path / "problems.jsonl").read_text().splitlines()]
    assert [id.partition("/")[0] for id in ids[:4]] == ["worlds", "sums", "worlds", "sums"]
    with RunFolder(tmp_path) as folder:
        report = write_report(folder)
        page = render(report, folder.outcomes, folder.about)
    assert report.problems == 8
    assert report.measure == "score"
    assert [(each.group, each.problems) for each in report.arm("greedy").groups] == [
        ("sums", 4),
        ("worlds", 4),
    ]
    assert "worlds: 4 of the corpus" in page
    assert "sums: 4 that were given" in page
    assert "(5 items: see spec.json)" in page


@pytest.mark.parametrize(
    ("sets", "measure"),
    [
        ({"a": CORPUS, "b": {**CORPUS, "ops": [4, 4], "count": 2}}, "solved"),
        ({"a": SUMS, "b": {**SUMS, "examples": 0}}, "correct"),
        ({"a": SUMS, "b": TEXTS}, "correct"),
        ({"a": CORPUS, "b": SUMS}, "score"),
        ({"a": SUMS, "b": PARTS}, "score"),
        ({"a": TEXTS}, None),
    ],
)
def test_how_they_are_judged_together(sets: dict[str, Any], measure: str | None) -> None:
    assert measure_of(spec_of(**sets)) == measure


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        (several(), "problems.sets", "at least 1"),
        ({"problems": {"source": "several"}}, "problems.sets", "missing"),
        (several(**{"a b": SUMS}), "problems.sets[0].name", "a b"),
        (several(a={"source": "web"}), "problems.sets[0].problems", "web"),
        (several(a={"source": "several", "sets": []}), "problems.sets[0].problems", "several"),
        (several(a=SUMS, b={**SUMS, "items": []}), "problems.sets[1].problems.items", "at least 1"),
        (
            {"problems": {"source": "several", "sets": [{"name": "a", "problems": SUMS}] * 2}},
            "problems.sets",
            "2 times",
        ),
    ],
)
def test_sets_that_are_none_are_refused(fields: dict[str, Any], param: str, said: str) -> None:
    with pytest.raises(ParameterError, match=said) as told:
        make_spec(GREEDY, **fields)
    assert told.value.param == param


def test_what_one_set_does_not_allow_all_do_not(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="use it on problems of the corpus"):
        spec_of(ORACLE, worlds=CORPUS, sums=SUMS)
    own = {**GREEDY, "template": {"form": "text"}}
    with pytest.raises(ParameterError, match="has a template"):
        spec_of(own, worlds=CORPUS, sums=SUMS)
    assert len(run(checkpoint, spec_of(ORACLE, a=CORPUS, b={**CORPUS, "ops": [4, 4]}), tmp_path)) == 8
    bad = {**SUMS, "template": {"form": "text", "question": "{context}"}}
    with pytest.raises(ParameterError, match=r"problems\.sets\[1\]\.problems\.template\.question names"):
        run(checkpoint, spec_of(GREEDY, texts=TEXTS, sums=bad), tmp_path / "bad")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (SUMS | {"examples": 0, "items": SUMS["items"][:1], "split": "calibration"}, "split"),
        (CORPUS | {"ops": [60, 64], "count": 5}, "ops"),
        (SUMS | {"scoring": {"kind": "command", "command": ["true"]}}, "scoring"),
    ],
)
def test_what_is_wrong_with_a_set_is_said_of_that_set(
    checkpoint: LoadedCheckpoint, tmp_path: Path, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(ParameterError, match=rf"^problems\.sets\[1\]\.problems\.{field}") as told:
        run(checkpoint, spec_of(texts=TEXTS, wrong=wrong), tmp_path)
    assert told.value.param == f"problems.sets[1].problems.{field}"


def test_all_sets_together_may_be_drawn_as_long_as_one(checkpoint: LoadedCheckpoint) -> None:
    chains = {"source": "reasoning_gym", "name": "chain_sum"}
    found = problem_set_of(spec_of(a=chains, b=chains), checkpoint, Allowance(draw_seconds=8.0))
    assert isinstance(found, SeveralSets)
    assert [each.draw_seconds for each in found.sets.values() if isinstance(each, GymSet)] == [4.0, 4.0]
