"""Figures of an evaluation, each one SVG element as a string (`probes.judging.drawing`)."""

import itertools
import math
from collections.abc import Iterable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from probes.fitting.sweep import SweepEntry
from probes.judging.drawing import COLOURS, MARKERS, STYLE, TEXT, svg
from probes.judging.results import ProbeResult
from probes.metrics.estimates import Estimate


def roc(probe: ProbeResult, largest_rate: float = 1.0) -> str:
    """ROC curve in every domain, as far as `largest_rate` false alarms; dotted: chance."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _square()
        axes.plot([0, 1], [0, 1], color=TEXT, linewidth=0.8, linestyle=":")
        for index, domain in enumerate(probe.domains):
            label = f"{domain.domain}: AUROC {_short(domain.metrics.auroc.value)}"
            rates, recalls = (
                [point[0] for point in domain.curves.roc],
                [point[1] for point in domain.curves.roc],
            )
            axes.plot(rates, recalls, color=COLOURS[index % len(COLOURS)], linewidth=1.8, label=label)
        for rate in (0.01, 0.05, 0.1):
            if largest_rate < 1 and rate <= largest_rate:
                axes.axvline(rate, color=TEXT, linewidth=0.6, alpha=0.5)
        margin = 0.02 * largest_rate
        axes.set(
            xlabel="false alarms", ylabel="recall", xlim=(-margin, largest_rate + margin), ylim=(-0.02, 1.02)
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        if probe.domains:
            axes.legend(loc="best")
        reach = "" if largest_rate >= 1 else f" up to {largest_rate:.0%} false alarms"
        values = (f"{domain.domain} {_words(domain.metrics.auroc)}" for domain in probe.domains)
        return svg(figure, f"ROC curve of {probe.name}{reach}. AUROC: {'; '.join(values)}.")


def reliability(probe: ProbeResult) -> str:
    """What scores promise against what comes, in bins of equal mass."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _square()
        axes.plot([0, 1], [0, 1], color=TEXT, linewidth=0.8, linestyle=":", label="calibrated")
        for index, domain in enumerate(probe.domains):
            bins = domain.curves.reliability
            axes.plot(
                [bin.mean_score for bin in bins],
                [bin.observed for bin in bins],
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                markersize=4,
                linewidth=1.2,
                label=f"{domain.domain}: ECE {_short(domain.metrics.ece.value)}",
            )
        axes.set(xlabel="mean score", ylabel="share of positives", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.legend(loc="upper left")
        values = (f"{domain.domain} {_words(domain.metrics.ece)}" for domain in probe.domains)
        return svg(figure, f"Reliability of {probe.name}. Expected calibration error: {'; '.join(values)}.")


def layers(probe: ProbeResult) -> str:
    """AUROC of the sweep by layer, a line for each position; candidates with signals are dashed.

    Where several families read one layer, the best of them is drawn. A candidate that reads several layers is
    an open marker at the last of them, one that reads none (signals alone) is left to the table.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.7), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=True)
        positions = list(dict.fromkeys(entry.position for entry in probe.sweep))
        for index, position in enumerate(positions):
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            for signals in (False, True):
                entries = [
                    entry
                    for entry in probe.sweep
                    if entry.position == position and entry.signals is signals and _known(entry.auroc)
                ]
                line = _best_by_layer(entry for entry in entries if len(entry.layers) == 1)
                several = _best_by_layer(entry for entry in entries if len(entry.layers) > 1)
                label = f"{position} + signals" if signals else position
                style = "--" if signals else "-"
                if line:
                    at, values = list(line), [estimate.value for estimate in line.values()]
                    axes.plot(at, values, style, color=colour, marker=marker, markersize=4, label=label)
                    low, high = zip(
                        *((estimate.low, estimate.high) for estimate in line.values()), strict=True
                    )
                    axes.fill_between(at, low, high, color=colour, alpha=0.12, linewidth=0)
                axes.plot(
                    list(several),
                    [estimate.value for estimate in several.values()],
                    linestyle="none",
                    color=colour,
                    marker=marker,
                    markersize=8,
                    fillstyle="none",
                    label=f"{label}, several layers" if several else "",
                )
        _reference(axes, 0.5, "chance")
        baseline = probe.domains[0].best_baseline() if probe.domains else None
        if baseline:
            _reference(
                axes, baseline.metrics.auroc.value, f"{baseline.name} (test, {probe.domains[0].domain})"
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="layer (0: after the embedding)", ylabel="AUROC (validation)")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return svg(figure, f"AUROC of {probe.name} on validation by layer; {_best_words(probe.sweep)}")


def forest(probe: ProbeResult) -> str:
    """AUROC with its interval: the probe above every baseline and control, in every domain."""
    names = {(1, probe.name): None}  # ordered: the probe, baselines, controls
    for kind in ("baseline", "control"):
        found = [
            (comparison.metrics.auroc.value, comparison.name)
            for domain in probe.domains
            for comparison in domain.comparisons
            if comparison.kind == kind
        ]
        ordered = sorted(found, key=lambda pair: (-pair[0] if _is_number(pair[0]) else math.inf, pair[1]))
        names |= {(2 if kind == "baseline" else 3, name): None for _, name in ordered}
    rows = list(names)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.1 + 0.3 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=True, axis="x")
        axes.axvline(0.5, color=TEXT, linewidth=0.9, linestyle=":")
        spread = 0.36 / max(len(probe.domains), 1)
        for index, domain in enumerate(probe.domains):
            known = {(1, probe.name): domain.metrics.auroc} | {
                (2 if other.kind == "baseline" else 3, other.name): other.metrics.auroc
                for other in domain.comparisons
            }
            drawn = [
                (row, known[name]) for row, name in enumerate(rows) if name in known and _known(known[name])
            ]
            offset = (index - (len(probe.domains) - 1) / 2) * spread
            axes.errorbar(
                [estimate.value for _, estimate in drawn],
                [row + offset for row, _ in drawn],
                xerr=[
                    [max(estimate.value - _or_value(estimate.low, estimate), 0) for _, estimate in drawn],
                    [max(_or_value(estimate.high, estimate) - estimate.value, 0) for _, estimate in drawn],
                ],
                linestyle="none",
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                markersize=5,
                elinewidth=1.6,
                label=domain.domain,
            )
        for row, (above, below) in enumerate(itertools.pairwise(rows)):
            if above[0] != below[0]:
                axes.axhline(row + 0.5, color=TEXT, linewidth=0.5, alpha=0.4)
        axes.set_yticks(range(len(rows)), [name for _, name in rows])
        axes.get_yticklabels()[0].set_fontweight("bold")
        axes.set(xlabel="AUROC, with 95% interval (dotted: chance)", ylim=(len(rows) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
        if len(probe.domains) > 1:
            figure.legend(loc="outside upper right", ncols=len(probe.domains))
        values = (f"{domain.domain} {_words(domain.metrics.auroc)}" for domain in probe.domains)
        return svg(
            figure,
            f"AUROC of {probe.name} ({'; '.join(values)}) beside {len(rows) - 1} baselines and controls, "
            "whose values stand in the table.",
        )


def _square() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, 3.7), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True)
    return figure, axes


def _reference(axes: Axes, value: float, label: str) -> None:
    axes.axhline(value, color=TEXT, linewidth=0.9, linestyle=":")
    axes.annotate(
        label,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 2),
        textcoords="offset points",
        ha="right",
        fontsize="small",
    )


def _best_by_layer(entries: Iterable[SweepEntry]) -> dict[int, Estimate]:
    best: dict[int, Estimate] = {}
    for entry in sorted(entries, key=lambda entry: (max(entry.layers), entry.auroc.value)):
        best[max(entry.layers)] = entry.auroc
    return best


def _best_words(sweep: Sequence[SweepEntry]) -> str:
    known = [entry for entry in sweep if _known(entry.auroc)]
    if not known:
        return "nothing was swept."
    best = max(known, key=lambda entry: entry.auroc.value)
    where = ", ".join(map(str, best.layers)) or "none"
    return f"best: {best.family}, layer {where}, {best.position}, {_words(best.auroc)}."


def _known(estimate: Estimate) -> bool:
    return _is_number(estimate.value)


def _is_number(value: float) -> bool:
    return not math.isnan(value)


def _or_value(bound: float, estimate: Estimate) -> float:
    return bound if _is_number(bound) else estimate.value


def _short(value: float) -> str:
    return f"{value:.3f}" if _is_number(value) else "unknown"


def _words(estimate: Estimate) -> str:
    return f"{_short(estimate.value)} (95% interval {_short(estimate.low)} to {_short(estimate.high)})"
