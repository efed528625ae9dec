"""One HTML page of an evaluation.

It needs no network and no other file, follows light and dark mode, and can be read on a phone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from probes.fitting.sweep import SweepEntry
from probes.judging import plots
from probes.judging.results import EvaluationReport, ProbeResult
from probes.metrics.estimates import Estimate

UNKNOWN = "\N{EN DASH}"  # what rows cannot tell


@dataclass(frozen=True)
class _Figure:
    caption: str
    svg: Markup
    wide: bool = False


def render(report: EvaluationReport) -> str:
    """The page; the same report gives the same bytes. All text of the report is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        report=report,
        figures=[_figures(probe) for probe in report.probes],
        along=_along,
        best_first=_best_first,
        count=_count,
        decimal=_decimal,
        exact=_exact,
        known=_known,
        percent=_percent,
        share=_share,
        short=_short,
        signed=_signed,
        signed_percent=_signed_percent,
        verdict=_verdict,
    )


def _figures(probe: ProbeResult) -> list[_Figure]:
    found = [
        _Figure("Beside baselines and controls", Markup(plots.forest(probe)), wide=True),
        _Figure("ROC", Markup(plots.roc(probe))),
        _Figure("ROC where it matters", Markup(plots.roc(probe, largest_rate=0.1))),
        _Figure("Reliability", Markup(plots.reliability(probe))),
    ]
    if probe.sweep:
        found.append(_Figure("By layer and position", Markup(plots.layers(probe))))
    return found


def _known(value: float) -> bool:
    return not math.isnan(value)


def _decimal(value: float) -> str:
    return f"{value:.3f}" if _known(value) else UNKNOWN


def _percent(value: float) -> str:
    return f"{value:.1%}" if _known(value) else UNKNOWN


def _signed(value: float) -> str:
    return f"{value:+.3f}" if _known(value) else UNKNOWN


def _signed_percent(value: float) -> str:
    """A difference of two shares, in percentage points."""
    return f"{100 * value:+.1f} pp" if _known(value) else UNKNOWN


def _short(value: float) -> str:
    return f"{value:.1f}" if _known(value) else UNKNOWN


def _exact(value: float) -> str:
    return f"{value:.6g}" if _known(value) else UNKNOWN


def _share(value: float) -> str:
    return f"{100 * value:g}%"


def _count(value: int) -> str:
    return f"{value:,}"


def _along(auroc: float) -> str:
    """Where an AUROC lies on a bar of 100 from chance to perfect; below chance at its start."""
    return f"{100 * max(0.0, 2 * auroc - 1):.1f}"


def _verdict(gain: Estimate) -> str:
    """What the interval of a gain says; nothing where there is no interval."""
    if not _known(gain.low):
        return ""
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "not clear"


def _best_first(sweep: Sequence[SweepEntry]) -> list[SweepEntry]:
    return sorted(sweep, key=lambda entry: -entry.auroc.value if _known(entry.auroc.value) else math.inf)
