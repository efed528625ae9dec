"""docs/real-models.md from what `benchmarks.real_models.run` left behind: markdown on standard output.

    python -m benchmarks.real_models.document runs/real-models > docs/real-models.md

What the figures mean is written by hand in findings.md, beside this file; nothing else is.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.compare.folder import read_outcomes, read_spec
from app.compare.outcome import Outcome
from app.compare.problem_sets.sources import GivenProblems
from app.compare.results import ArmResult, ComparisonReport, Estimate, PairResult
from app.compare.spec import ComparisonSpec
from app.compare.statistics import wilson
from app.compare.summary import summarise
from benchmarks.real_models.choosing import CHOSEN_FILE, COST_FILE, VALIDATION, outcomes_of
from benchmarks.real_models.comparing import ORACLE, refused_in
from benchmarks.real_models.settings import SETTINGS, ModelSettings, Settings, read_settings
from benchmarks.strategies_table import percent, points, ratio
from models.files import read_json
from probes.judging.results import EvaluationReport

_HEAD = Path(__file__).with_name("findings.md")


def document(
    out: Annotated[Path, typer.Argument(help="The folder that `run` was given as --out.")],
    settings_file: Annotated[Path, typer.Option("--settings", help="As of `run`.")] = SETTINGS,
) -> None:
    """The page."""
    settings = read_settings(settings_file)
    typer.echo(_HEAD.read_text(encoding="utf-8").rstrip())
    for name, model in settings.models.items():
        typer.echo(f"\n## {model.name}\n")
        for block in _model(settings, model, name, out / name):
            typer.echo(block + "\n")


def _model(settings: Settings, model: ModelSettings, name: str, folder: Path) -> Iterator[str]:
    done = [each for each in model.sets if (folder / "test" / each / COST_FILE).exists()]
    missing = [each for each in model.sets if each not in done]
    if missing:
        yield (
            f"**Not finished**: the test split of {', '.join(missing)} was not asked in full. "
            f"The one command to go on with: `python -m benchmarks.real_models.run {name} FOLDER`."
        )
    if not done:
        return
    reports = {each: _report(folder / "test" / each) for each in done}
    probed = [each for each in done if (folder / "probes" / each / "installed").is_dir()] or done
    if len(probed) > 1:
        together = _together(folder, probed)
        yield f"### {', '.join(probed)} together: {together.common} questions"
        yield "The sets with a probe, and the strategies that ran on each of them."
        yield "\n".join(_table(together, _oracle(folder, probed)))
    for each, report in reports.items():
        yield f"### {each}: {report.common} questions"
        yield "\n".join(_table(report, _oracle(folder, [each])))
        by_reason: dict[str, list[str]] = defaultdict(list)
        for arm, why in refused_in(folder / "test" / each).items():
            by_reason[why.removeprefix(f"arm {arm!r}: ")].append(f"`{arm}`")
        if by_reason:
            yield "\n".join(f"- {', '.join(arms)} did not run: {why}" for why, arms in by_reason.items())
    yield "### Probes of each set"
    yield "\n".join(_probes(folder, model))
    yield "### Settings that were tried"
    yield "\n".join(_tried(settings, folder))
    yield _cost(folder)


def _report(folder: Path) -> ComparisonReport:
    return summarise(read_spec(folder), read_outcomes(folder), ())


def _together(folder: Path, sets: Sequence[str]) -> ComparisonReport:
    """One report on the questions of all sets, by the arms that ran on each of them."""
    specs = {each: read_spec(folder / "test" / each) for each in sets}
    everywhere = set.intersection(*({arm.name for arm in spec.arms} for spec in specs.values()))
    first = specs[sets[0]]
    items: list[object] = []
    outcomes: list[Outcome] = []
    for each, spec in specs.items():
        assert isinstance(spec.problems, GivenProblems)
        items += [
            {"id": f"{each}/{item.id}", "prompt": item.prompt, "answer": item.answer}
            for item in spec.problems.items
        ]
        outcomes += [
            outcome.model_copy(update={"problem": f"{each}/{outcome.problem}"})
            for outcome in read_outcomes(folder / "test" / each)
            if outcome.arm in everywhere
        ]
    problems = GivenProblems.model_validate({"source": "given", "items": items})
    arms = [arm for arm in first.arms if arm.name in everywhere]
    spec = ComparisonSpec(arms=arms, problems=problems, latency_problems=0)
    return summarise(spec, outcomes, ())


def _accuracy(arm: ArmResult) -> float:
    return arm.accuracy.value if arm.accuracy is not None else 0.0


def _tokens(arm: ArmResult) -> float:
    return arm.tokens.mean.value if arm.tokens is not None else 0.0


def _table(report: ComparisonReport, oracle: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    against: dict[str, PairResult] = {pair.arm: pair for pair in report.against_baseline}
    front = {point.arm for point in report.pareto if point.on_front}
    yield "| strategy | right | against greedy, points | p (Holm) | tokens | times greedy's | answered |"
    yield "|---|---|---|---|---|---|---|"
    for arm in sorted(report.arms, key=lambda each: (-_accuracy(each), _tokens(each))):
        pair = against.get(arm.name)
        declined = arm.coverage is not None and arm.coverage.value < 1
        answered = f"{percent(arm.coverage, 0)}, then right {percent(arm.accuracy_when_answered, 0)}"
        cells = (
            f"`{arm.name}`" + (" (front)" if arm.name in front else ""),
            percent(arm.accuracy, 0),
            points(pair.difference) if pair else "",
            f"{pair.p_adjusted:.2g}" if pair and pair.p_adjusted is not None else "",
            f"{_tokens(arm):.1f}",
            ratio(pair.token_ratio) if pair else "1",
            answered if declined else "",
        )
        yield f"| {' | '.join(cells)} |"
    for name, right, tokens in oracle:
        yield f"| *{name}* | {right} |  |  | {tokens} |  |  |"


def _oracle(folder: Path, sets: Sequence[str]) -> list[tuple[str, str, str]]:
    """Of several samples a question, the share of questions with a right one, and the share of right ones."""
    by_question: dict[str, list[Outcome]] = defaultdict(list)
    for each in sets:
        if not (folder / ORACLE / each / COST_FILE).exists():
            return []
        for outcome in read_outcomes(folder / ORACLE / each):
            by_question[f"{each}/{outcome.problem.partition('-test-')[2]}"].append(outcome)
    samples = len(next(iter(by_question.values())))
    hit = sum(any(each.correct for each in found) for found in by_question.values())
    right = sum(bool(each.correct) for found in by_question.values() for each in found)
    total = len(by_question)
    tokens = sum(each.completion_tokens for found in by_question.values() for each in found) / total
    low, high = wilson(hit, total)
    best = percent(Estimate(value=hit / total, low=low, high=high), 0)
    return [
        (f"oracle: the best of {samples} samples", best, f"{tokens:.1f}"),
        (f"random: one of {samples} samples", f"{right / (total * samples):.0%}", f"{tokens / samples:.1f}"),
    ]


def _probes(folder: Path, model: ModelSettings) -> Iterator[str]:
    yield "| set | AUROC of `step_error` | of the best that is free | gain | wrong of readings |"
    yield "|---|---|---|---|---|"
    for each in model.sets:
        path = folder / "probes" / each / "evaluation.json"
        if not path.exists():
            yield f"| {each} | no probe: too few labels |  |  |  |"
            continue
        report = EvaluationReport.model_validate_json(path.read_text(encoding="utf-8"))
        for probe in report.probes:
            result = probe.domains[0]
            best = result.best_baseline()
            cells = [each, _figure(result.metrics.auroc)]
            cells += [f"{_figure(best.metrics.auroc)} {best.name}" if best else ""]
            cells += [_figure(best.auroc_gain, "+") if best and best.auroc_gain else ""]
            yield f"| {' | '.join([*cells, f'{result.positives} of {result.rows}'])} |"


def _figure(estimate: object, sign: str = "") -> str:
    value, low, high = (getattr(estimate, name) for name in ("value", "low", "high"))
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _tried(settings: Settings, folder: Path) -> Iterator[str]:
    outcomes = outcomes_of(folder, VALIDATION)
    chosen: Mapping[str, object] = read_json(folder / CHOSEN_FILE)
    yield "| setting | questions | right | tokens |"
    yield "|---|---|---|---|"
    for name in ["greedy", *(arm["name"] for each in settings.strategies for arm in each.arms())]:
        found = outcomes.get(name)
        if not found:
            continue
        right = sum(bool(each.correct) for each in found)
        low, high = wilson(right, len(found))
        share = percent(Estimate(value=right / len(found), low=low, high=high), 0)
        tokens = sum(each.completion_tokens + each.discarded_tokens for each in found) / len(found)
        mark = "**" if name in chosen.values() else ""
        yield f"| {mark}`{name}`{mark} | {len(found)} | {share} | {tokens:.1f} |"


def _cost(folder: Path) -> str:
    """Tokens that were computed and processor time, as far as it was kept."""
    tokens = sum(
        each.completion_tokens + each.discarded_tokens
        for stage in (*VALIDATION, "test", ORACLE)
        for found in _stage(folder / stage)
        for each in found
    )
    seconds = sum(float(str(read_json(path)["seconds"])) for path in sorted(folder.glob(f"*/*/{COST_FILE}")))
    return (
        f"Answers of all arms have {tokens:,} tokens, discarded ones included; comparing took "
        f"{seconds / 3600:.1f} hours of one processor, arms sharing what they write alike."
    )


def _stage(folder: Path) -> Iterator[list[Outcome]]:
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield read_outcomes(each)


if __name__ == "__main__":
    typer.run(document)
