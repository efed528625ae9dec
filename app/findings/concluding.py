"""From what was declared and what was measured to what is published: pure functions, but for the files."""

from collections.abc import Mapping
from math import isinf
from pathlib import Path

from app.compare.results import Estimate
from app.findings.criteria import FEWEST_SEEDS, Between, decide_all, over_seeds
from app.findings.finding import Finding
from app.findings.published import (
    FINDINGS_FILE,
    CriterionOut,
    FindingList,
    FindingOut,
    Fixed,
    QuestionOut,
    RangeOut,
    Raw,
    read_published,
    read_raw,
)
from app.findings.report import markdown
from models.files import write_atomically, write_json


def conclude(finding: Finding, raw: Raw | None, fixed: Fixed | None) -> FindingOut:
    """What came of a finding. A run of size `quick` says nothing, and counts as none."""
    raw = raw if raw is not None and raw.size == "full" else None
    experiment = finding.experiment
    by_seed: dict[int, Mapping[str, Estimate]] = {}
    stages = 0
    if experiment is not None:
        stages = len(experiment.stages("full", 0)) * max(FEWEST_SEEDS, len(raw.seeds) if raw else 0)
        if raw is not None:
            by_seed = {seed: experiment.measured(results) for seed, results in raw.seeds.items()}
    measured: dict[str, Estimate | None] = {}
    for criterion in finding.criteria:
        its = [values[criterion.quantity] for values in by_seed.values() if criterion.quantity in values]
        measured[criterion.quantity] = over_seeds(its) if len(its) == len(by_seed) else None
    return FindingOut(
        name=finding.name,
        title=finding.title,
        claim=finding.claim,
        source=finding.source,
        design=finding.design,
        verdict=decide_all(finding.criteria, measured),
        criteria=[
            CriterionOut(
                quantity=each.quantity,
                meaning=each.meaning,
                percent=each.unit == "%",
                supported=_range(each.supported),
                refuted=[_range(other) for other in each.refuted],
                measured=measured[each.quantity],
                by_seed={
                    seed: values[each.quantity] for seed, values in by_seed.items() if each.quantity in values
                },
                verdict=each.decide(measured[each.quantity]),
            )
            for each in finding.criteria
        ],
        fixed=fixed,
        begun=raw.begun if raw else None,
        seeds=sorted(by_seed),
        stages_done=sum(len(results) for results in raw.seeds.values()) if raw else 0,
        stages=stages,
        processor_seconds=raw.seconds if raw else 0.0,
        minutes=finding.minutes,
        command=f"demur findings run {finding.name}",
        questions=[
            QuestionOut(corpus=each.corpus, prompt=each.prompt, note=each.note) for each in finding.questions
        ],
    )


def publish(folder: Path, findings: Mapping[str, Finding], fixed: Mapping[str, Fixed]) -> FindingList:
    """Make all that is derived anew: `findings.json`, `README.md` and the figures.

    Raises:
        ArtifactError: what was published of a finding's stages is damaged.
    """
    raws = {name: read_raw(folder, name) for name in findings}
    made = FindingList(
        data=[conclude(finding, raws[name], fixed.get(name)) for name, finding in findings.items()]
    )
    write_json(folder / FINDINGS_FILE, made.model_dump(mode="json"))
    for name, finding in findings.items():
        raw = raws[name]
        if raw is not None and finding.experiment is not None:
            picture = finding.experiment.figure(raw.seeds)
            write_atomically(folder / f"{name}.svg", picture.encode())
    write_atomically(folder / "README.md", markdown(made, raws).encode())
    return made


def known_dates(folder: Path, findings: Mapping[str, Finding]) -> dict[str, Fixed]:
    """Commits that were published with findings whose thresholds read as they did: where there is no history
    of the code, these are all that is known.

    Raises:
        ArtifactError: what was published is damaged.
    """
    if not (folder / FINDINGS_FILE).exists():
        return {}
    now = {name: conclude(finding, None, None) for name, finding in findings.items()}
    return {
        before.name: before.fixed
        for before in read_published(folder).data
        if before.fixed is not None and before.name in now and _ranges(before) == _ranges(now[before.name])
    }


def _ranges(finding: FindingOut) -> list[tuple[str, RangeOut, list[RangeOut]]]:
    return [(each.quantity, each.supported, each.refuted) for each in finding.criteria]


def _range(between: Between) -> RangeOut:
    low, high = (None if isinf(end) else end for end in (between.low, between.high))
    return RangeOut(low=low, high=high)
