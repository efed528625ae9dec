"""How a finished comparison looks in a terminal: arms, what they cost, how they differ, and their texts."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.commands.written import colour
from app.compare.outcome import Outcome
from app.compare.report import words
from app.compare.results import ArmResult, ComparisonReport, Duration, Estimate, PairResult, Spread

SHOWN_PROMPTS = 20
WIDE = 100
"""Columns of a terminal from which on less important figures have room."""


def show_report(report: ComparisonReport, outcomes: Sequence[Outcome], prompts: Mapping[str, str]) -> None:
    """Print what was found. prompts: by problem, for a comparison of texts without answers."""
    console = Console(highlight=False)
    console.print(_arms(report, console.width))
    others = [pair for pair in report.against_baseline if pair.difference is not None]
    if others:
        console.print(_pairs(report, others))
    if report.measure is None:
        show_texts(console, [arm.name for arm in report.arms], outcomes, prompts)
    for sentence in words.headline(report):
        console.print(f"• {sentence}")
    for warning in report.warnings:
        console.print(f"! {warning}", style="yellow")


def show_texts(
    console: Console, arms: Sequence[str], outcomes: Sequence[Outcome], prompts: Mapping[str, str]
) -> None:
    """Print the texts of the first prompts beside each other, tokens in the colour of their entropy."""
    texts = {outcome.key: outcome for outcome in outcomes}
    for problem in list(prompts)[:SHOWN_PROMPTS]:
        table = Table(*arms, title=Text(prompts[problem].strip()), title_justify="left", expand=True)
        table.add_row(*(_text(texts.get((problem, arm))) for arm in arms))
        console.print(table)
    if len(prompts) > SHOWN_PROMPTS:
        console.print(f"... and {len(prompts) - SHOWN_PROMPTS} prompts more, in outcomes.jsonl", style="dim")


def _arms(report: ComparisonReport, width: int) -> Table:
    title = {
        "solved": "whole solutions right, in every step and the answer",
        "correct": "answers right",
        "score": "mean score",
        None: "texts without answers",
    }[report.measure]
    table = Table(
        title=f"{report.problems} problems: {title}", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("arm", no_wrap=True)
    has_alone = any(arm.latency.alone for arm in report.arms)
    worth_telling = {
        "n": True,
        "accuracy": report.measure is not None,
        "95% interval": report.measure is not None,
        "answered": any(arm.coverage is not None and arm.coverage.value < 1 for arm in report.arms),
        "tokens": True,
        "discarded": any(arm.discarded is not None and arm.discarded.mean.value for arm in report.arms),
        "rows": width >= WIDE,
        "alone": has_alone,
        "first token": has_alone and width >= WIDE,
    }
    shown = [name for name, is_worth in worth_telling.items() if is_worth]
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    front = {point.arm for point in report.pareto if point.on_front}
    for arm in report.arms:
        cells = {
            "n": str(arm.problems),
            "accuracy": _value(arm.accuracy),
            "95% interval": _interval(arm.accuracy),
            "answered": _value(arm.coverage),
            "tokens": _mean(arm.tokens),
            "discarded": _mean(arm.discarded),
            "rows": _mean(arm.forward_rows),
            "alone": _median(arm.latency.alone),
            "first token": _median(arm.latency.first_token),
        }
        table.add_row(_name(arm, arm.name in front), *(cells[name] for name in shown))
    notes = ["tokens are means per problem, discarded ones included"]
    notes += ["alone: median time, one request at a time"] if has_alone else []
    notes += ["*: on the Pareto front"] if front and report.measure else []
    table.caption = "; ".join(notes)
    table.caption_justify = "left"
    return table


def _pairs(report: ComparisonReport, pairs: Sequence[PairResult]) -> Table:
    table = Table(
        title=f"against {report.baseline}, on the same problems",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("arm", no_wrap=True)
    for heading in ("points", "95% interval", "p (Holm)", "won:lost", "tokens", "it is"):
        table.add_column(heading, justify="right", no_wrap=True)
    for pair in pairs:
        assert pair.difference is not None, "the others are left out"
        low, high = pair.difference.low, pair.difference.high
        table.add_row(
            Text(pair.arm),
            words.points(pair.difference.value),
            f"{words.points(low)} to {words.points(high)}",
            words.chance(pair.p_adjusted),
            f"{pair.arm_only}:{pair.other_only}",
            words.times(None if pair.token_ratio is None else pair.token_ratio.value),
            Text(pair.verdict or "", style={"better": "green", "worse": "red"}.get(pair.verdict or "", "")),
        )
    return table


def _name(arm: ArmResult, on_front: bool) -> Text:
    return Text(f"{arm.name}{' *' if on_front else ''}{' (told what is wrong)' if arm.told else ''}")


def _text(outcome: Outcome | None) -> Text:
    if outcome is None:
        return Text("-", style="dim")
    if outcome.abstained:
        return Text("declined to answer", style="dim")
    text = Text()
    for token in outcome.tokens or ():
        entropy = token.signals.get("entropy")
        text.append(token.text, style="" if entropy is None else colour(entropy))
    if not outcome.tokens:
        text.append(outcome.text)
    text.append(f"\n\n{outcome.completion_tokens} tokens", style="dim")
    if outcome.discarded_tokens:
        text.append(f", {outcome.discarded_tokens} discarded", style="dim")
    return text


def _value(estimate: Estimate | None) -> str:
    return words.percent(None if estimate is None else estimate.value)


def _interval(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{words.percent(estimate.low)} to {words.percent(estimate.high)}"


def _mean(spread: Spread | None) -> str:
    return words.number(None if spread is None else spread.mean.value)


def _median(duration: Duration | None) -> str:
    return words.seconds(None if duration is None else duration.median.value)
