"""How verdicts on solutions, and statistics of the corpus, look in a terminal and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.corpora.corpus import Answer, Report, Sizes
from models.corpora.statistics import Statistics


def report_json(report: Report) -> dict[str, Any]:
    """A report with what follows from it."""
    return {
        "correct": report.correct,
        "first_error": report.first_error,
        "answer_correct": report.answer_correct,
        **asdict(report),
    }


def outcome(report: Report) -> str:
    """In a few words, what became of a solution: `correct` or what is first wrong with it."""
    if report.problem_error is not None:
        return "unreadable problem"
    if report.first_error is not None:
        return report.steps[report.first_error].verdict
    if report.answer is None:
        return "no answer"
    if not report.answer_correct:
        return "wrong answer"
    return "missing step" if report.missing else "correct"


def show_report(solution: str, report: Report) -> None:
    """Print a table of steps, and below it what holds for the whole."""
    console = Console(highlight=False)
    if report.problem_error is not None:
        console.print(Text(f"The problem cannot be read: {report.problem_error}", style="red"))
        return
    table = Table("step", "characters", "text", "verdict", "what is wrong")
    for index, step in enumerate(report.steps, 1):
        table.add_row(
            str(index),
            f"{step.start}-{step.end}",
            Text(_printable(solution[step.start : step.end])),
            _verdict(step.verdict),
            Text(step.detail),
        )
    if report.unfinished is not None:
        start, end = report.unfinished
        table.add_row(
            "",
            f"{start}-{end}",
            Text(_printable(solution[start:end])),
            Text("unfinished", style="yellow"),
            "",
        )
    if table.row_count:
        console.print(table)
    console.print(_answer(report))
    if report.missing:
        console.print(f"Missing steps: {', '.join(report.missing)}", style="red")
    if report.first_error is not None:
        console.print(f"First wrong step: {report.first_error + 1}", style="red")
    console.print(
        "The solution is correct." if report.correct else "The solution is wrong.",
        style="bold green" if report.correct else "bold red",
    )


def show_summary(reports: Sequence[Report]) -> None:
    """Print how many solutions are correct, and what is first wrong with the others."""
    outcomes = Counter(outcome(report) for report in reports)
    table = Table("outcome", "solutions", "share")
    for name, count in outcomes.most_common():
        table.add_row(_verdict(name), str(count), f"{count / len(reports):.1%}")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{outcomes['correct']} of {len(reports)} solutions are correct.")


def show_statistics(statistics: Mapping[int, Statistics], title: str, sizes: Sizes) -> None:
    """Print a table with one row per size; those beyond the training are dim."""
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for name in (
        sizes.name,
        "templates",
        "sentences",
        "problem\ntokens",
        "solution\ntokens",
        "longest\ndocument",
    ):
        table.add_column(name, justify="right")
    for name in ("majority\nanswer", "its\nshare"):
        table.add_column(name, justify="right")
    for size, row in statistics.items():
        table.add_row(
            str(size),
            str(row.templates),
            f"{row.sentences:.1f}",
            f"{row.problem_tokens:.1f}",
            f"{row.solution_tokens:.1f}",
            str(row.longest_document),
            str(row.majority_answer),
            f"{row.majority_share:.1%}",
            style="" if size <= sizes.trained_max else "dim",
        )
    Console(highlight=False).print(table)


def show_answers(answers: Sequence[Answer], shares: Sequence[float], size_name: str) -> None:
    """Print the share of every answer, with a bar."""
    table = Table("answer", "share", "", title=f"answers, all {size_name}s", box=SIMPLE_HEAD)
    for answer, share in zip(answers, shares, strict=True):
        table.add_row(str(answer), f"{share:.1%}", "█" * round(share / max(shares) * 30))
    Console(highlight=False).print(table)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))


def _verdict(name: str) -> Text:
    return Text(name, style="green" if name == "correct" else "red")


def _answer(report: Report) -> Text:
    if report.answer is None:
        return Text(f"No answer; it is {report.expected}.", style="red")
    if report.answer_correct:
        return Text(f"Answer {report.answer}: correct.", style="green")
    return Text(f"Answer {report.answer}: wrong; it is {report.expected}.", style="red")
