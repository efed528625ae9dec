"""Judges that are commands, and who may have one run."""

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.compare.folder import read_outcomes
from app.compare.problem_sets.judge_command import judge_by_command
from app.compare.problem_sets.problem import Problem, Verdict
from app.compare.problem_sets.scoring import JudgeCommand
from app.compare.problems import AT_A_TERMINAL, Allowance, problem_set_of
from app.compare.results import ComparisonReport
from app.compare.summary import summarise
from app.errors import UnfitError
from models.checkpoint import LoadedCheckpoint
from tests.app.compare.running import GREEDY, WARM, given, make_spec, run_at_a_terminal

PROBLEM = Problem("a", None, "1 + 1 =", "2", 0, {"prompt": "1 + 1 =", "tests": "t"})


def judged(code: str, text: str = "it is 2") -> Verdict:
    command = [sys.executable, "-I", "-S", "-c", f"import json, sys; asked = json.load(sys.stdin)\n{code}"]
    return judge_by_command(JudgeCommand(kind="command", command=command, seconds=60), PROBLEM, text, "2")


def test_it_is_given_everything_and_its_score_counts() -> None:
    keys = "sorted(asked) == ['answer', 'completion', 'fields', 'found', 'id', 'prompt']"
    fields = "asked['fields'] == {'tests': 't'} and asked['completion'] == 'it is 2'"
    assert judged(f"print(0.25 if {keys} and {fields} else 0)") == Verdict("2", False, score=0.25)
    assert judged("print(json.dumps({'score': 1, 'answer': 'two'}))") == Verdict("two", True, score=1)
    assert judged("print('true')") == Verdict("2", True, score=1)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('good')", "it wrote 'good"),
        ("print(1.5)", "its score is '1.5'"),
        ("print('NaN')", "its score is 'NaN'"),
        ("print('[' * 5000)", "it wrote"),
        ("print('{}')", "its score is '{}'"),
        ("raise ValueError('no')", "exit status 1: ValueError: no"),
    ],
)
def test_where_it_fails_nothing_is_judged_and_the_verdict_says_why(code: str, said: str) -> None:
    verdict = judged(code)
    assert (verdict.correct, verdict.score) == (None, None)
    assert said in (verdict.judge_error or "")


def test_a_command_runs_only_where_that_is_allowed(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    scoring = {"kind": "command", "command": ["touch", str(touched)]}
    spec = make_spec(**given([{"prompt": "a"}], scoring=scoring))
    for allowance in (None, Allowance()):
        with pytest.raises(UnfitError, match="a server never runs commands") as caught:
            problem_set_of(spec, checkpoint, allowance)
        assert caught.value.param == "problems.scoring"
    assert not touched.exists()
    problem_set = problem_set_of(spec, checkpoint, AT_A_TERMINAL)
    problem_set.judge(problem_set.draw()[0], "text")
    assert touched.exists()


def test_a_comparison_judged_by_a_command(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    """Half a point for some, none for others, and a failure on one, which is in no accuracy."""
    code = "import json, sys; n = int(json.load(sys.stdin)['id']); print({0: 0.5, 1: 1, 2: 'x'}.get(n, 0))"
    scoring = {"kind": "command", "command": [sys.executable, "-I", "-S", "-c", code], "seconds": 60}
    items = [{"prompt": f"Boats are {place}."} for place in range(4)]
    spec = make_spec(GREEDY, WARM, **given(items, scoring=scoring), max_tokens=3)
    outcomes = run_at_a_terminal(checkpoint, spec, tmp_path / "run")
    scores = {(each.problem, each.arm): each.score for each in outcomes}
    assert [scores[str(place), "greedy"] for place in range(4)] == [0.5, 1, None, 0]
    assert all((each.judge_error is not None) == (each.problem == "2") for each in outcomes)
    report = summarise(spec, outcomes, ())
    assert ComparisonReport.model_validate_json(report.model_dump_json()) == report
    greedy = report.arm("greedy")
    assert report.measure == "score"
    assert greedy.accuracy is not None
    assert greedy.accuracy.value == 0.5
    assert greedy.unjudged == 1
    assert any("the judge failed on 1 of 4" in each for each in report.warnings)


def test_a_judge_that_failed_is_asked_again_when_the_run_goes_on(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    """The texts stay. One of three problems was judged at once, one is now, and on one it fails still."""
    mended = tmp_path / "mended"
    code = (
        "import json, pathlib, sys; n = int(json.load(sys.stdin)['id'])\n"
        f"print(n / 2 if n == 1 or n == 0 and pathlib.Path({str(mended)!r}).exists() else 'x')"
    )
    scoring = {"kind": "command", "command": [sys.executable, "-I", "-S", "-c", code], "seconds": 60}
    items = [{"prompt": f"Boats are {place}."} for place in range(3)]
    spec = make_spec(GREEDY, **given(items, scoring=scoring), max_tokens=3)
    first = {each.problem: each for each in run_at_a_terminal(checkpoint, spec, tmp_path / "run")}
    mended.touch()
    again = {each.problem: each for each in run_at_a_terminal(checkpoint, spec, tmp_path / "run")}
    assert [first[name].score for name in "012"] == [None, 0.5, None]
    assert [again[name].score for name in "012"] == [0, 0.5, None]
    assert [again[name].judge_error is None for name in "012"] == [True, True, False]
    verdict = {"score", "correct", "judge_error"}
    for name in "012":  # the seconds that it took too: nothing was written anew
        assert again[name].model_dump(exclude=verdict) == first[name].model_dump(exclude=verdict)
    kept = read_outcomes(tmp_path / "run")
    assert {each.problem: each for each in kept} == again


def test_half_a_surrogate_pair_can_be_kept_with_the_outcome() -> None:
    verdict = judged(r"""print('{"score": 1, "answer": "a\\ud800"}')""")
    assert (verdict.answer, verdict.score) == ("a?", 1)


def test_a_command_that_no_program_can_be_given_is_refused() -> None:
    with pytest.raises(ValidationError):
        JudgeCommand(kind="command", command=["echo", "a\0b"])
