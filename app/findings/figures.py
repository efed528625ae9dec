"""Figures of findings, each one SVG element as a string (`probes.judging.drawing`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure

from app.compare.results import Estimate
from probes.judging.drawing import COLOURS, MARKERS, STYLE, TEXT, svg


@dataclass(frozen=True)
class Point:
    """A measured value of a series at some x."""

    series: str
    x: float
    y: Estimate


@dataclass(frozen=True)
class Bar:
    """A measured share, in the group of what is compared, of one seed."""

    group: str
    seed: int
    value: Estimate


def scatter(points: Sequence[Point], x: str, y: str) -> str:
    """Points with their intervals; the dashed line is where both are equal."""
    names = list(dict.fromkeys(point.series for point in points))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=True)
        end = max((point.x for point in points), default=1.0)
        axes.plot([0, end], [0, end], color=TEXT, linewidth=1, linestyle=(0, (4, 3)), alpha=0.6)
        for number, name in enumerate(names):
            its = [point for point in points if point.series == name]
            axes.errorbar(
                [point.x for point in its],
                [point.y.value for point in its],
                yerr=_reach([point.y for point in its]),
                fmt=MARKERS[number % len(MARKERS)],
                color=COLOURS[number % len(COLOURS)],
                label=name,
                capsize=2,
            )
        axes.set(xlabel=x, ylabel=y, ylim=(0, None), xlim=(0, None))
        if names:
            axes.legend()
        said = "; ".join(f"{point.series} at {point.x:.2f}: {point.y.value:.2f}" for point in points)
        return svg(figure, f"{y} against {x}. {said or 'Nothing has been measured yet'}.")


def bars(values: Sequence[Bar], y: str) -> str:
    """Shares by group, one bar a seed, with their intervals."""
    groups = list(dict.fromkeys(bar.group for bar in values))
    seeds = sorted({bar.seed for bar in values})
    width = 0.8 / max(len(seeds), 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.5 + 0.42 * max(len(groups), 2)), layout="constrained")
        axes = figure.subplots()
        for number, seed in enumerate(seeds):
            its = [bar for bar in values if bar.seed == seed]
            axes.barh(
                [groups.index(bar.group) + number * width for bar in its],
                [bar.value.value for bar in its],
                height=0.9 * width,
                xerr=_reach([bar.value for bar in its]),
                color=COLOURS[number % len(COLOURS)],
                label=f"seed {seed}",
                error_kw={"ecolor": TEXT, "elinewidth": 1, "capsize": 2},
            )
        axes.set_yticks([place + 0.4 - width / 2 for place in range(len(groups))], groups)
        axes.invert_yaxis()
        axes.set(xlabel=y, xlim=(0, 1))
        if seeds:
            axes.legend()
        said = "; ".join(f"{bar.group}, seed {bar.seed}: {bar.value.value:.1%}" for bar in values)
        return svg(figure, f"{y}. {said or 'Nothing has been measured yet'}.")


def _reach(estimates: Sequence[Estimate]) -> list[list[float]]:
    """How far intervals reach below and above their values."""
    below = [each.value - (each.value if each.low is None else each.low) for each in estimates]
    above = [(each.value if each.high is None else each.high) - each.value for each in estimates]
    return [below, above]
