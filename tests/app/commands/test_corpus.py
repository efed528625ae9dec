import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.commands.corpus import app

PROBLEM = "Boats are 3 times kites. Kites are 7. Drums are 2. How many boats?"
RIGHT = "Kites are 7. Boats are 3 times kites = 3 * 7 = 10. Answer: 10"
WRONG = "Kites are 7. Drums are 2. Boats are 3 times kites = 3 * 7 = 9. Answer: 9"


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


def lines_of(text: str) -> Sequence[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("command", [[], ["problems"], ["check"], ["stats"]])
def test_help(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_problems_with_solutions_check_as_correct() -> None:
    printed = run("problems", "-n", "20", "--op", "3", "--distractors", "2", "--solutions", "--json")
    assert printed.exit_code == 0
    assert Counter(line["op"] for line in lines_of(printed.output)) == {3: 20}
    assert all(str(line["problem"]).count(".") == 5 for line in lines_of(printed.output))
    checked = run("check", "--json-lines", "-", stdin=printed.output)
    assert checked.exit_code == 0
    assert "20 of 20 solutions are correct" in checked.output


def test_problems_are_plain_text_and_reproducible() -> None:
    first = run("problems", "-n", "3", "--seed", "7", "--split", "validation")
    assert first.output == run("problems", "-n", "3", "--seed", "7", "--split", "validation").output
    assert first.output != run("problems", "-n", "3", "--seed", "8", "--split", "validation").output
    blocks = first.output.strip().split("\n\n")
    assert len(blocks) == 3
    assert all(block.endswith("?") and "\n" not in block for block in blocks)


def test_impossible_request_for_problems_is_an_error_with_its_fix() -> None:
    splits = ("train", "validation", "calibration", "test")
    results = [run("problems", "--op", "1", "--distractors", "0", "--split", split) for split in splits]
    assert sorted(result.exit_code for result in results) == [0, 2, 2, 2]
    refused = next(result for result in results if result.exit_code)
    assert "raise op or the number of distractors" in refused.output
    assert run("problems", "--op", "0").exit_code == 2
    assert run("problems", "-n", "9" * 20).exit_code == 2
    assert run("problems", "--split", "dev").exit_code == 2


def test_check_shows_every_step() -> None:
    right = run("check", PROBLEM, RIGHT)
    assert right.exit_code == 0
    assert "The solution is correct." in right.output
    wrong = run("check", PROBLEM, WRONG)
    assert wrong.exit_code == 1
    for text in ("unnecessary", "arithmetic", "Answer 9: wrong; it is 10.", "First wrong step: 2"):
        assert text in wrong.output


@pytest.mark.parametrize(
    ("solution", "text"),
    [
        ("Kites are 7. Boats are", "unfinished"),
        ("Kites are 7. Boats are", "No answer; it is 10."),
        ("Kites are 7. Answer: 10", "Missing steps: boats"),
        ("", "Missing steps: boats, kites"),
        ("[red]Kites[/nope]", "[red]Kites[/nope]"),  # not markup of the terminal
        ("\x1b[2J are 7.", "syntax"),
        ("\udcff are 7.", "syntax"),  # what a shell's byte outside UTF-8 becomes
    ],
)
def test_check_of_an_incomplete_solution(solution: str, text: str) -> None:
    result = run("check", PROBLEM, solution)
    assert result.exit_code == 1
    assert text in result.output
    assert "\x1b" not in result.output  # nor a control sequence for it


def test_check_reads_files_and_stdin(tmp_path: Path) -> None:
    file = tmp_path / "problem.txt"
    file.write_text(PROBLEM + "\n", encoding="utf-8")
    assert run("check", "--problem-file", str(file), "--solution-file", "-", stdin=RIGHT).exit_code == 0
    file.write_bytes(b"\xff\xfe")
    result = run("check", "--problem-file", str(file), "--solution-file", "-", stdin=RIGHT)
    assert result.exit_code == 1
    assert "The problem cannot be read" in result.output
    missing = tmp_path / "missing.txt"
    assert run("check", PROBLEM, "--solution-file", str(missing)).exit_code == 2


def test_check_of_json_lines_counts_what_is_first_wrong() -> None:
    pairs = [
        (PROBLEM, RIGHT),
        (PROBLEM, WRONG),
        (PROBLEM, "Kites are 7."),
        (PROBLEM, "Kites are 7. Answer: 10"),
        (PROBLEM, RIGHT[:-2] + "3"),
        ("How many boats?", RIGHT),
    ]
    stdin = "\n\n".join(json.dumps({"problem": p, "solution": s, "id": 1}) for p, s in pairs)
    result = run("check", "--json-lines", "-", stdin=stdin)
    assert result.exit_code == 1
    assert "1 of 6 solutions are correct" in result.output
    for outcome in ("unnecessary", "no answer", "missing step", "wrong answer", "unreadable problem"):
        assert outcome in result.output
    reports = lines_of(run("check", "--json-lines", "-", "--json", stdin=stdin).output)
    assert [report["correct"] for report in reports] == [True, False, False, False, False, False]
    assert [report["first_error"] for report in reports] == [None, 1, None, None, None, None]
    assert reports[3]["missing"] == ["boats"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ((), "", "PROBLEM or --problem-file"),
        ((PROBLEM,), "", "SOLUTION or --solution-file"),
        ((PROBLEM, RIGHT, "--problem-file", "-"), PROBLEM, "PROBLEM or --problem-file"),
        ((PROBLEM, "--json-lines", "-"), "{}", "give it alone"),
        (("--json-lines", "-"), "\n", "no line to check"),
        (("--json-lines", "-"), '\n{"problem": "", "solution": 3}', "line 2 of --json-lines"),
        (("--json-lines", "-"), "{", "line 1 of --json-lines"),
        (("--json-lines", "-"), "[" * 100_000, "line 1 of --json-lines"),
    ],
)
def test_check_refuses_unusable_input(arguments: tuple[str, ...], stdin: str, message: str) -> None:
    result = run("check", *arguments, stdin=stdin)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_modulus_is_an_option() -> None:
    text = "Kites are 12. How many kites?"
    assert run("check", text, "Kites are 12. Answer: 12", "--modulus", "13").exit_code == 0
    assert run("check", text, "Kites are 12. Answer: 12").exit_code == 1


def test_stats_agree_with_a_count_over_the_printed_problems() -> None:
    described = lines_of(run("stats", "-n", "60", "--split", "test", "--json").output)
    assert [line["op"] for line in described] == list(range(1, 10))
    arguments = ("-n", "60", "--split", "test", "--op", "4", "--solutions", "--json")
    printed = lines_of(run("problems", *arguments).output)
    answers = Counter(line["answer"] for line in printed)
    sentences = sum(str(line["problem"]).count(".") for line in printed)
    assert described[3]["majority_share"] == max(answers.values()) / 60
    assert answers[described[3]["majority_answer"]] == max(answers.values())
    assert described[3]["answer_shares"] == [answers[value] / 60 for value in range(11)]
    assert described[3]["sentences"] == pytest.approx(sentences / 60)
    table = run("stats", "-n", "60", "--split", "test")
    assert table.exit_code == 0
    assert "60 problems per op" in table.output


def test_surface_is_measured_for_a_corpus_with_graphs_and_refused_for_one_without() -> None:
    result = run("surface", "-n", "60", "--op", "3", "--json")
    assert result.exit_code == 0
    measured = lines_of(result.output)
    assert Counter(line["population"] for line in measured) == {"every one": 5, "mentioned": 5, "inner": 6}
    assert all(line["low"] <= line["auroc"] <= line["high"] for line in measured)  # pyright: ignore[reportOperatorIssue]
    table = run("surface", "-n", "30", "--op", "3")
    assert "mentions" in table.output
    assert "op 3: AUROC" in table.output
    refused = run("surface", "--corpus", "sums", "-n", "10")
    assert refused.exit_code == 2
    assert "has no graph" in refused.output
