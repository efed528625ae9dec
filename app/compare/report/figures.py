"""Figures of a comparison, each one SVG element as a string (`probes.judging.drawing`).

width is in inches. Every figure is drawn once for a screen and once, narrower, for a phone: letters keep
their size, and what does not fit is left to the tables.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from app.compare.report.labels import place
from app.compare.results import ArmResult, ComparisonReport, Duration, Estimate, PairResult
from probes.judging.drawing import COLOURS, MARKERS, STYLE, TEXT, svg

WIDE, NARROW = 10.4, 4.6
BETTER, WORSE, UNCLEAR = COLOURS[2], "#d9573f", "#808a96"
MINUS = "\N{MINUS SIGN}"
_NARROW_BELOW = 6.0
_LOGARITHMIC_FROM = 6.0  # largest by smallest value


def frontier(report: ComparisonReport, width: float) -> str:
    """Accuracy against tokens with both intervals; the staircase is the Pareto front."""
    arms = [arm for arm in report.arms if arm.accuracy is not None and arm.tokens is not None]
    on_front = {point.arm for point in report.pareto if point.on_front}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, 0.36 * width + 2), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=True)
        stair = _stair(report)
        axes.plot(*stair, color=TEXT, linewidth=1.2, linestyle=(0, (4, 3)), alpha=0.6)
        for arm in arms:
            _point(axes, arm, _place_of(report, arm), faded=arm.name not in on_front)
        tokens = [arm.tokens.mean.value for arm in arms if arm.tokens is not None]
        _scale(axes, tokens)
        axes.margins(x=0.1, y=0.12)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        measure = {"solved": "problems solved", "score": "mean score"}.get(
            report.measure or "", "problems right"
        )
        axes.set(xlabel="tokens per problem, discarded ones included", ylabel=measure)
        _name_points(figure, axes, arms, report, stair)
        best = "; ".join(
            f"{point.arm} {point.accuracy:.1%} at {point.tokens:.1f}"
            for point in report.pareto
            if point.on_front
        )
        return svg(
            figure,
            f"Accuracy against tokens of {len(arms)} arms{_drawn(width)}. On the Pareto front: "
            f"{best or 'none'}. All values stand in the table.",
        )


def forest(report: ComparisonReport, width: float) -> str:
    """Paired difference to the baseline with its interval, the largest first."""
    pairs = sorted(
        (pair for pair in report.against_baseline if pair.difference is not None),
        key=lambda pair: -_value(pair.difference),
    )
    narrow = width < _NARROW_BELOW
    with matplotlib.rc_context(STYLE):
        figure, axes = _rows(width, [pair.arm for pair in pairs])
        axes.axvline(0, color=TEXT, linewidth=0.9, linestyle=":")
        for row, pair in enumerate(pairs):
            low, value, high = (100 * each for each in _ends(pair.difference))
            colour = {"better": BETTER, "worse": WORSE}.get(pair.verdict or "", UNCLEAR)
            axes.plot([low, high], [row, row], color=colour, linewidth=2.4, solid_capstyle="round")
            marker = {"better": "^", "worse": "v"}.get(pair.verdict or "", "o")
            axes.plot(value, row, marker, color=colour, markersize=6.5)
            if not narrow:
                axes.annotate(
                    f"{value:+.1f} ({low:+.1f} to {high:+.1f})".replace("-", MINUS),
                    (1, row),
                    xycoords=("axes fraction", "data"),
                    xytext=(8, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize="small",
                )
        axes.set(xlabel=f"points more than {report.baseline}" + ("" if narrow else ", with 95% interval"))
        words = "; ".join(_difference_words(pair) for pair in pairs)
        return svg(figure, f"Differences to {report.baseline} in points{_drawn(width)}: {words}.")


def tokens(report: ComparisonReport, width: float) -> str:
    """Mean tokens per problem, kept and discarded, with the range of nine problems in ten and the median."""
    arms = [arm for arm in report.arms if arm.tokens and arm.kept and arm.discarded]
    with matplotlib.rc_context(STYLE):
        figure, axes = _rows(width, [arm.name for arm in arms])
        for row, arm in enumerate(arms):
            if not (arm.tokens and arm.kept and arm.discarded):
                continue
            kept, discarded = arm.kept.mean.value, arm.discarded.mean.value
            axes.barh(row, kept, height=0.5, color=COLOURS[0], label="kept" if not row else None)
            axes.barh(
                row,
                discarded,
                left=kept,
                height=0.5,
                color=COLOURS[1],
                alpha=0.75,
                label="discarded" if not row else None,
            )
            axes.plot(
                [arm.tokens.q05, arm.tokens.q95], [row + 0.36] * 2, color=TEXT, linewidth=1.1, alpha=0.75
            )
            axes.plot(arm.tokens.q50, row + 0.36, "|", color=TEXT, markersize=6, alpha=0.9)
        axes.set(xlabel="tokens per problem", xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if width < _NARROW_BELOW else 9))
        if arms:
            figure.legend(loc="outside upper right", ncols=2)
        words = "; ".join(f"{arm.name} {arm.tokens.mean.value:.1f}" for arm in arms if arm.tokens)
        return svg(figure, f"Tokens per problem, mean{_drawn(width)}: {words}.")


def latency(report: ComparisonReport, width: float) -> str:
    """Median seconds per problem, under load and alone, with a line to the 95% quantile."""
    arms = [arm for arm in report.arms if arm.latency.under_load or arm.latency.alone]
    kinds: list[tuple[str, Callable[[ArmResult], Duration | None], float, str, str]] = [
        ("alone", lambda arm: arm.latency.alone, -0.17, COLOURS[0], "o"),
        ("under load", lambda arm: arm.latency.under_load, 0.17, COLOURS[1], "s"),
    ]
    with matplotlib.rc_context(STYLE):
        figure, axes = _rows(width, [arm.name for arm in arms])
        seconds: list[float] = []
        for name, of, offset, colour, marker in kinds:
            measured = [(row, found) for row, arm in enumerate(arms) if (found := of(arm)) is not None]
            for row, duration in measured:
                ends = [duration.median.value, duration.p95]
                seconds += ends
                axes.plot(ends, [row + offset] * 2, color=colour, linewidth=1.6, alpha=0.8)
                axes.plot(ends[1], row + offset, "|", color=colour, markersize=6)
            axes.plot(
                [duration.median.value for _, duration in measured],
                [row + offset for row, _ in measured],
                marker,
                color=colour,
                markersize=5.5,
                label=name if measured else "",
            )
        _scale(axes, seconds)
        axes.set(xlabel="seconds per problem")
        if arms:
            figure.legend(loc="outside upper right", ncols=2)
        words = "; ".join(f"{arm.name} {_latency_words(arm)}" for arm in arms)
        return svg(figure, f"Latency in seconds, median{_drawn(width)}: {words}.")


def _point(axes: Axes, arm: ArmResult, index: int, faded: bool) -> None:
    """An arm with both its intervals; hollow if no request can use it."""
    if arm.accuracy is None or arm.tokens is None:
        return
    (x_low, x, x_high), (y_low, y, y_high) = _ends(arm.tokens.mean), _ends(arm.accuracy)
    axes.errorbar(
        x,
        y,
        xerr=[[max(x - x_low, 0)], [max(x_high - x, 0)]],
        yerr=[[max(y - y_low, 0)], [max(y_high - y, 0)]],
        color=colour_of(index),
        marker=marker_of(index),
        markersize=7,
        fillstyle="none" if arm.told else "full",
        elinewidth=1.1,
        alpha=0.6 if faded else 1,
    )


def _stair(report: ComparisonReport) -> tuple[list[float], list[float]]:
    """Corners of the Pareto front, from the cheapest arm to the most accurate."""
    front = sorted((point.tokens, point.accuracy) for point in report.pareto if point.on_front)
    xs = [x for (x, _), (following, _) in pairwise(front) for x in (x, following)] + [
        x for x, _ in front[-1:]
    ]
    ys = [y for (_, y), _ in pairwise(front) for y in (y, y)] + [y for _, y in front[-1:]]
    return xs, ys


def _name_points(
    figure: Figure,
    axes: Axes,
    arms: Sequence[ArmResult],
    report: ComparisonReport,
    stair: tuple[list[float], list[float]],
) -> None:
    """The name of every point beside it, off the lines."""
    figure.draw_without_rendering()  # only now it is known where points will be
    box, scale = axes.get_window_extent(), 72 / figure.dpi

    def inside(x: float, y: float) -> tuple[float, float]:
        right, up = axes.transData.transform((x, y))
        return float(right - box.x0) * scale, float(up - box.y0) * scale

    known = [(arm, _ends(arm.tokens.mean), _ends(arm.accuracy)) for arm in arms if arm.tokens]
    at = [(x, y) for _, (_, x, _), (_, y, _) in known]
    lines = [(*inside(low, y), *inside(high, y)) for _, (low, _, high), (_, y, _) in known]
    lines += [(*inside(x, low), *inside(x, high)) for _, (_, x, _), (low, _, high) in known]
    corners = [inside(x, y) for x, y in zip(*stair, strict=True)]
    lines += [(*start, *end) for start, end in pairwise(corners)]
    names = [f"{arm.name} (baseline)" if arm.name == report.baseline else arm.name for arm, _, _ in known]
    area = (float(box.width) * scale, float(box.height) * scale)
    labels = place([inside(*point) for point in at], names, area, size=9, lines=lines)
    for point, name, label in zip(at, names, labels, strict=True):
        axes.annotate(
            name,
            point,
            xytext=(label.dx, label.dy),
            textcoords="offset points",
            ha=label.align,
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": TEXT, "linewidth": 0.5, "alpha": 0.5}
            if label.far
            else None,
        )


def _rows(width: float, names: Sequence[str]) -> tuple[Figure, Axes]:
    """Axes with a row per name, the first on top."""
    figure = Figure(figsize=(width, 0.95 + 0.34 * max(len(names), 1)), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True, axis="x")
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _scale(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic horizontal axis where values are far apart, with plain numbers at its ticks."""
    positive = [value for value in values if value > 0]
    if len(positive) < len(values) or not positive or max(positive) / min(positive) < _LOGARITHMIC_FROM:
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def colour_of(index: int) -> str:
    """Colour of the arm at this place in the spec."""
    return COLOURS[index % len(COLOURS)]


def marker_of(index: int) -> str:
    """Marker of the arm at this place; 36 arms differ in colour or marker."""
    return MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def _place_of(report: ComparisonReport, arm: ArmResult) -> int:
    return [each.name for each in report.arms].index(arm.name)


def _value(estimate: Estimate | None) -> float:
    return 0.0 if estimate is None else estimate.value


def _ends(estimate: Estimate | None) -> tuple[float, float, float]:
    """Low end, value, high end; the value where an end is unknown."""
    value = _value(estimate)
    if estimate is None or estimate.low is None or estimate.high is None:
        return value, value, value
    return estimate.low, value, estimate.high


def _difference_words(pair: PairResult) -> str:
    low, value, high = (100 * each for each in _ends(pair.difference))
    return f"{pair.arm} {value:+.1f} ({low:+.1f} to {high:+.1f}), {pair.verdict}"


def _latency_words(arm: ArmResult) -> str:
    kinds = (("alone", arm.latency.alone), ("under load", arm.latency.under_load))
    return ", ".join(f"{found.median.value:.2f} {name}" for name, found in kinds if found is not None)


def _drawn(width: float) -> str:
    """Tells the two drawings of a figure apart, so that they share no ids."""
    return " (narrow)" if width < _NARROW_BELOW else ""
