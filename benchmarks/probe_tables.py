"""The tables of docs/probes.md, from the evaluation.json of a `demur probe evaluate`.

python benchmarks/probe_tables.py [runs/probes/igsm/evaluation.json] > tables.md
"""

import math
from pathlib import Path
from typing import Annotated

import typer

from probes.judging.results import DomainResult, EvaluationReport, ProbeResult
from probes.metrics.estimates import Estimate


def words(estimate: Estimate | None, form: str = ".3f") -> str:
    """A value with its interval."""
    if estimate is None or math.isnan(estimate.value):
        return "-"
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def overview(probes: tuple[ProbeResult, ...]) -> list[str]:
    """One line per probe and domain."""
    heads = ("probe", "rows", "positive", "AUROC", "recall at 1%", "recall at 5%", "AP", "Brier", "ECE")
    lines = [row(*heads), row(*["---"] * len(heads))]
    for probe in probes:
        for domain in probe.domains:
            found = domain.metrics
            lines.append(
                row(
                    f"`{probe.name}`",
                    domain.domain,
                    f"{domain.positives:,} of {domain.rows:,}",
                    words(found.auroc),
                    words(found.recall_at_1),
                    words(found.recall_at_5),
                    words(found.average_precision),
                    f"{found.brier.value:.3f}",
                    f"{found.ece.value:.3f}",
                )
            )
    return lines


def beside(domain: DomainResult) -> list[str]:
    """What else scored the same rows."""
    heads = (f"{domain.domain}: beside it", "kind", "AUROC", "the probe's gain", "recall at 5%", "gain")
    lines = ["", row(*heads), row(*["---"] * len(heads))]
    for other in domain.comparisons:
        gains = words(other.auroc_gain, "+.3f"), words(other.recall_gain, "+.3f")
        metrics = other.metrics
        lines.append(
            row(other.name, other.kind, words(metrics.auroc), gains[0], words(metrics.recall_at_5), gains[1])
        )
    return lines


def section(probe: ProbeResult) -> list[str]:
    """All about one probe."""
    layers = ", ".join(map(str, probe.layers)) or "none"
    lines = ["", f"### `{probe.name}`", "", probe.meaning]
    lines.append(f"Read at `{probe.position}`, family {probe.family}, layers {layers}.")
    for domain in probe.domains:
        lines += beside(domain)
    for drift in probe.calibration_drift:
        lines += ["", f"{drift.label}: ECE {words(drift.ece)}, Brier {words(drift.brier)}."]
    return lines


def main(
    evaluation: Annotated[Path, typer.Argument(help="An evaluation.json.")] = Path(
        "runs/probes/igsm/evaluation.json"
    ),
) -> None:
    """Print the tables as Markdown."""
    report = EvaluationReport.model_validate_json(evaluation.read_bytes())
    for line in overview(report.probes):
        typer.echo(line)
    for probe in report.probes:
        for line in section(probe):
            typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
