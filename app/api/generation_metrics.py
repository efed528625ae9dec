"""Metrics of generations: how fast their tokens came, how their texts ended, what signals and probes read.

All is counted when a text or a request ends, in bulk, so that a token costs nothing.
"""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from app.api.drift import calibrated_spread, drift
from app.api.housed_model import HousedModel
from app.decoding.core.types import Token

_RECENT = 2000
"""So many of a probe's last scores tell whether they drift."""

_GAPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_NATS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12)
_SCORES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

_HISTOGRAMS = {
    "demur_inter_token_latency_seconds": (
        "Time between two tokens of a streamed text; tokens that become final together have 0 between them.",
        _GAPS,
        "",
    ),
    "demur_e2e_request_latency_seconds": (
        "Time from submitting a generation to its end, if it came to one.",
        _SECONDS,
        "",
    ),
    "demur_token_entropy_nats": ("Entropy at tokens of answers, where it was read.", _NATS, ""),
    "demur_probe_score": ("Scores of probes at tokens of answers, where they were read.", _SCORES, "probe"),
}
"""By name: what it means, its bounds, and a label of its own."""


class Spans:
    """Numbers by the bounds that they do not exceed."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = np.zeros(len(bounds) + 1, dtype=np.int64)
        self._sum = 0.0

    def add(self, values: Sequence[float]) -> None:
        """Count values."""
        if len(values) == 1:
            self._counts[bisect_left(self._bounds, values[0])] += 1
            self._sum += values[0]
            return
        found = np.array(values)
        places = np.searchsorted(self._bounds, found, side="left")
        self._counts += np.bincount(places, minlength=len(self._counts))
        self._sum += float(found.sum())

    def report(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add what was counted to a family."""
        upto = np.cumsum(self._counts).tolist()
        names = [*(floatToGoString(bound) for bound in self._bounds), "+Inf"]
        family.add_metric(
            labels, [(name, float(count)) for name, count in zip(names, upto, strict=True)], self._sum
        )


class GenerationMetrics(Collector):
    """Counts of all generations of a server, by model. For one thread, that of the event loop."""

    def __init__(self) -> None:
        self._spans: dict[tuple[str, str, str], Spans] = {}
        self._ended: Counter[tuple[str, str]] = Counter()
        self._rewinds: Counter[str] = Counter()
        self._recent: defaultdict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=_RECENT))
        self._models: Mapping[str, HousedModel] = {}

    def watch(self, models: Mapping[str, HousedModel]) -> None:
        """Report by these models from now on."""
        self._models = models

    def text_ended(self, model: str, reason: str, tokens: Sequence[Token], rewinds: int) -> None:
        """Count a text, in which a strategy went back so often."""
        self._ended[model, reason] += 1
        self._rewinds[model] += rewinds
        read: defaultdict[str, list[float]] = defaultdict(list)
        for token in tokens:
            for name, value in token.signals.items():
                if (name == "entropy" or name.startswith("probe:")) and isfinite(value):  # else no sum is one
                    read[name].append(value)
        for name, values in read.items():
            if name == "entropy":
                self._add("demur_token_entropy_nats", model, "", values)
            else:
                probe = name.removeprefix("probe:")
                self._add("demur_probe_score", model, probe, values)
                self._recent[model, probe].extend(values)

    def request_ended(self, model: str, gaps: Sequence[float], seconds: float | None) -> None:
        """Count a request: times between its tokens, and how long it took; None if it was broken off."""
        if gaps:
            self._add("demur_inter_token_latency_seconds", model, "", gaps)
        if seconds is not None:
            self._add("demur_e2e_request_latency_seconds", model, "", [seconds])

    def collect(self) -> Iterable[Metric]:
        several = ["model"] if len(self._models) > 1 else []
        for metric, (text, _, label) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(metric, text, labels=[*several, *([label] if label else [])])
            for (name, model, value), spans in list(self._spans.items()):
                if name == metric:
                    spans.report(family, [model][: len(several)] + ([value] if label else []))
            yield family
        ended = CounterMetricFamily(
            "demur_request_success",
            "Texts that came to an end, by why they did.",
            labels=[*several, "finished_reason"],
        )
        abstained = CounterMetricFamily(
            "demur_abstentions", "Texts in which a strategy declined to answer.", labels=several
        )
        rewinds = CounterMetricFamily(
            "demur_rewinds", "How often strategies took tokens back.", labels=several
        )
        for model in self._models:
            where = [model][: len(several)]
            for reason in ("stop", "length", "abstain"):
                ended.add_metric([*where, reason], self._ended[model, reason])
            abstained.add_metric(where, self._ended[model, "abstain"])
            rewinds.add_metric(where, self._rewinds[model])
        yield from (ended, abstained, rewinds, self._drift(several))

    def _add(self, metric: str, model: str, label: str, values: Sequence[float]) -> None:
        place = metric, model, label
        if place not in self._spans:
            self._spans[place] = Spans(_HISTOGRAMS[metric][1])
        self._spans[place].add(values)

    def _drift(self, several: list[str]) -> Metric:
        gauge = GaugeMetricFamily(
            "demur_probe_drift_psi",
            f"Population stability index of a probe's last {_RECENT} scores against its calibration.",
            labels=[*several, "probe"],
        )
        for model, housed in self._models.items():
            serving = housed.serving
            for stored in () if serving is None else serving.probes:
                spread = calibrated_spread(stored.card)
                recent = self._recent.get((model, stored.card.name), ())
                found = None if spread is None else drift(spread, recent)
                if found is not None:
                    gauge.add_metric([*[model][: len(several)], stored.card.name], found)
        return gauge
