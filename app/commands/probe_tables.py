"""What `demur probe` prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probes.fitting.labels import LabelledCompletion
    from probes.fitting.workflow import FittedProbes
    from probes.judging.results import EvaluationReport


def print_base_rates(labels: "Sequence[LabelledCompletion]") -> None:
    """How often each kind of mistake happens."""
    from rich.console import Console
    from rich.table import Table

    from probes.judging.base_rates import base_rates

    table = Table(title="first mistakes, share of completions")
    for heading in ("domain", "op", "temperature", "kind", "share", "n"):
        table.add_column(heading, justify="left" if heading in ("domain", "kind") else "right")
    for rate in base_rates([each for each in labels if each.own]):
        op = "" if rate.op is None else str(rate.op)
        share = f"{rate.positives / rate.rows:.1%}"
        table.add_row(rate.domain, op, f"{rate.temperature:g}", rate.kind, share, str(rate.rows))
    Console().print(table)


def print_fitted(fitted: "FittedProbes") -> None:
    """The winner of each sweep, and what there were too few labels for."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="probes, on the validation part")
    for heading in ("probe", "position", "family", "layers", "signals", "AUROC", "95% interval"):
        table.add_column(heading)
    for each in fitted.probes:
        entry = next(entry for entry in each.sweep if entry.chosen)
        table.add_row(
            each.probe.name,
            entry.position,
            entry.family,
            ", ".join(map(str, entry.layers)) or "none",
            "yes" if entry.signals else "no",
            f"{entry.auroc.value:.3f}",
            f"{entry.auroc.low:.3f} to {entry.auroc.high:.3f}",
        )
    Console().print(table)
    for name, why in fitted.refused.items():
        Console(stderr=True).print(f"Not fitted: {name}: {why}.", markup=False, highlight=False)
    for name, said in fitted.cautions.items():
        for each in said:
            Console(stderr=True).print(f"Careful: {name}: {each}.", markup=False, highlight=False)


def print_results(report: "EvaluationReport") -> None:
    """Each probe on the test part, beside its best baseline."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="probes, on the test part")
    for heading in (
        "probe",
        "domain",
        "mistakes",
        "n",
        "AUROC",
        "recall at 5%",
        "best baseline",
        "AUROC gain",
    ):
        table.add_column(heading)
    for result in report.probes:
        for domain in result.domains:
            auroc, recall = domain.metrics.auroc, domain.metrics.recall_at_5
            best = domain.best_baseline()
            gain = None if best is None else best.auroc_gain
            table.add_row(
                result.name,
                domain.domain,
                str(domain.positives),
                str(domain.rows),
                f"{auroc.value:.3f} ({auroc.low:.3f} to {auroc.high:.3f})",
                f"{recall.value:.3f} ({recall.low:.3f} to {recall.high:.3f})",
                "" if best is None else f"{best.name} {best.metrics.auroc.value:.3f}",
                "" if gain is None else f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})",
            )
    Console().print(table)
    for note in report.notes[2:]:
        Console(stderr=True).print(f"Careful: {note}", markup=False, highlight=False)
