"""The table of real models: its questions, its judge, how settings are chosen, and all of it in small."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.compare.outcome import Outcome
from app.compare.spec import parse_spec
from app.decoding.strategies import COMPARED
from benchmarks.real_models.choosing import best
from benchmarks.real_models.question_sets import OWN, SHOWN, kept_splits, splits_of
from benchmarks.real_models.settings import read_settings
from benchmarks.real_models.step_judge import judged
from probes.fitting.labels import LabelledCompletion
from tests.probes.test_tutorial import write_adding_model

COUNTS = {"train": 40, "validation": 10, "calibration": 10, "test": 10}
SETTINGS = read_settings()
OWN_SETS = [name for name, each in SETTINGS.sets.items() if each.generator is None]


@pytest.mark.parametrize("name", OWN_SETS)
def test_no_question_is_in_two_splits_or_shown(name: str) -> None:
    splits = splits_of(name, SETTINGS.sets[name], COUNTS, seed=3)
    assert {split: len(each.questions) for split, each in splits.items()} == COUNTS
    asked = [question.text for each in splits.values() for question in each.questions]
    assert len(set(asked)) == len(asked)
    shown = splits["train"].shown
    assert shown.count("Question:") == SHOWN
    assert not any(question.asked in shown for each in splits.values() for question in each.questions)
    assert splits == splits_of(name, SETTINGS.sets[name], COUNTS, seed=3)
    assert splits != splits_of(name, SETTINGS.sets[name], COUNTS, seed=4)


def test_more_questions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="different questions, fewer than"):
        splits_of("roman", SETTINGS.sets["product"], {"train": 1000}, seed=0)


@pytest.mark.parametrize("name", OWN)
def test_worked_answers_are_right(name: str) -> None:
    asked = SETTINGS.sets["product"].model_copy(update={"own": name})
    for question in splits_of(name, asked, {"train": 60}, seed=1)["train"].questions:
        worked = question.solved.removeprefix(question.asked).rstrip("\n")
        label = judged(LabelledCompletion(prompt="q", completion=worked, answer=question.answer))
        assert label.correct
        assert not label.wrong
        assert len(label.checked or ()) == question.steps.count("\n") + 1


def test_questions_that_a_file_keeps_are_not_drawn_again(tmp_path: Path) -> None:
    drawn = splits_of("product", SETTINGS.sets["product"], COUNTS, seed=0)
    assert kept_splits(tmp_path / "new" / "product.json", lambda: drawn) == drawn
    assert kept_splits(tmp_path / "new" / "product.json", lambda: {}) == drawn


@pytest.mark.parametrize(
    ("text", "wrong", "checked", "correct"),
    [
        ("2 + 3 = 5\nAnswer: 5\n\n", None, ["5", "Answer: 5"], True),
        ("2 + 3 = 6\n6 + 1 = 8\nAnswer: 5", "6", ["6"], True),
        ("2 + 3 = 5\nAnswer: 7", "Answer: 7", ["5", "Answer: 7"], False),
        ("Answer: PARIS", None, ["Answer: PARIS"], True),
        ("Paris, I think", None, [], False),
    ],
)
def test_the_judge_marks_the_first_mistake(
    text: str, wrong: str | None, checked: list[str], correct: bool
) -> None:
    answer = "Paris" if "ari" in text.lower() else "5"
    label = judged(LabelledCompletion(prompt="q", completion=text, answer=answer))
    assert [text[each.start : each.end] for each in label.wrong] == ([wrong] if wrong else [])
    assert [text[start:end] for start, end in label.checked or ()] == checked
    assert label.correct == correct
    assert label.judged is None or not text[label.judged - 1].isspace()


def outcome(problem: str, *, correct: bool, tokens: int) -> Outcome:
    return Outcome(
        problem=problem,
        group=None,
        arm="a",
        seed=0,
        correct=correct,
        answer=None,
        expected="1",
        solved=None,
        first_error=None,
        finish_reason="stop",
        abstained=False,
        text="",
        prompt_tokens=1,
        cached_tokens=0,
        completion_tokens=tokens,
        discarded_tokens=0,
        forward_rows=1,
        events=0,
        latency_s=0,
    )


def outcomes(right: int, of: int, tokens: int) -> list[Outcome]:
    return [outcome(str(place), correct=place < right, tokens=tokens) for place in range(of)]


def test_the_cheapest_setting_near_the_most_accurate_is_chosen() -> None:
    tried = {"dear": outcomes(80, 100, 9), "cheap": outcomes(79, 100, 3), "worse": outcomes(70, 100, 1)}
    assert best(tried, near=0.01) == "cheap"
    assert best(tried, near=0) == "dear"


def test_settings_are_compared_on_the_questions_that_all_were_asked() -> None:
    """The second was asked five hard ones more, which is nothing against it."""
    tried = {"few": outcomes(5, 10, 5), "many": [*outcomes(6, 10, 5), *outcomes(0, 15, 5)[10:]]}
    assert best(tried, near=0) == "many"


def test_settings_are_those_of_the_table() -> None:
    kinds = {each["strategy"]["kind"] for found in SETTINGS.strategies for each in found.settings}
    assert kinds | {"greedy", "oracle_retry"} == set(COMPARED)
    assert len({len(each.settings) for each in SETTINGS.strategies}) == 1  # equal budgets
    for name in SETTINGS.sets:
        arms = [arm for each in SETTINGS.candidates(name) for arm in each.arms()]
        parse_spec({"arms": arms[::2]})
        parse_spec({"arms": arms[1::2]})
    for model in SETTINGS.models.values():
        assert set(model.tuned_on) <= set(model.sets) <= SETTINGS.sets.keys()
        assert len(model.sets) >= 5


SMALL = """
seed = 1
near = 0.01
oracle_samples = 2
oracle_temperature = 0.7
calibration_texts = 4
label_samples = 1
label_temperature = 0.7
max_rows = 8
counts = {train = 12, validation = 2, calibration = 3, test = 4}

[models.small]
name = "Small"
layers = [1]
sets = ["product", "chain"]
tuned_on = ["chain"]

[sets.product]
labelled = 4
max_tokens = 4

[sets.chain]
labelled = 12
steps = true
asked = {test = 2}
max_tokens = 8

[[strategies]]
name = "sample"
settings = [
  {strategy = {kind = "sample"}, temperature = 0.3},
  {strategy = {kind = "sample"}, temperature = 0.7},
]

[[strategies]]
name = "retry_upon_regret"
settings = [
  {strategy = {kind = "retry_upon_regret"}},
  {strategy = {kind = "retry_upon_regret", check = "step_end"}},
]
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_command_makes_the_table_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from benchmarks.real_models.document import document
    from benchmarks.real_models.run import run

    settings = tmp_path / "settings.toml"
    settings.write_text(SMALL)
    write_adding_model(tmp_path / "model")
    out = tmp_path / "out"
    run("small", tmp_path / "model", out, settings)
    kept = {path: path.read_bytes() for path in sorted(out.glob("*/*/*/outcomes.jsonl"))}
    assert len(kept) == 2 + 2 + 2  # both halves of validation, then the test split and the oracle of each set
    run("small", tmp_path / "model", out, settings)
    assert {path: path.read_bytes() for path in kept} == kept
    assert not (tmp_path / "model" / "calibration.json").exists()
    capsys.readouterr()
    page = typer.Typer()
    page.command()(document)
    result = CliRunner().invoke(page, [str(out), "--settings", str(settings)])
    assert result.exit_code == 0, result.output
    for heading in ("## Small", "### All 2 sets together: 6 questions", "### product", "### chain"):
        assert heading in result.output
    assert "oracle: the best of 2 samples" in result.output
    assert re.search(r"`retry_upon_regret` did not run: .*probe:step_error", result.output)
