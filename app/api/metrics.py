"""Prometheus metrics: HTTP requests as they pass, and the engine's counters as they stand when scraped."""

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app.api.generation_metrics import GenerationMetrics
from app.api.housed_model import HousedModel
from app.api.methods import METHODS
from app.engine.types import EngineStats

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "demur_http_requests",
            "Requests answered, by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._in_progress = Gauge(
            "demur_http_requests_in_progress",
            "Requests whose answer is not out yet.",
            registry=self.registry,
        )
        self.in_progress = 0
        self._idle_since = time.monotonic()
        self._in_progress.set_function(lambda: self.in_progress)
        self._seconds = Histogram(
            "demur_http_request_seconds",
            "Time from a request to the last byte of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first_token = Histogram(
            "demur_time_to_first_token_seconds",
            "Time from submitting a generation to its first token.",
            buckets=_SECONDS,
            registry=self.registry,
        )

        self.generations = GenerationMetrics()
        self.registry.register(self.generations)

    @contextmanager
    def request_in_progress(self) -> Generator[None]:
        """Count a request among those in progress, on the event loop."""
        self.in_progress += 1
        try:
            yield
        finally:
            self.in_progress -= 1
            self._idle_since = time.monotonic()

    def idle_seconds(self) -> float:
        """Seconds since the last answer was out; 0 while one is made."""
        return 0.0 if self.in_progress else time.monotonic() - self._idle_since

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered. `route` is a template, never a path that somebody made up."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def observe_first_token(self, seconds: float) -> None:
        """Record how long a generation waited for its first token."""
        self._first_token.observe(seconds)

    def watch_models(self, models: Mapping[str, HousedModel]) -> None:
        """Report every model, and the engines of those that are open, at every scrape from now on."""
        self.registry.register(_ModelCollector(models))
        self.generations.watch(models)

    def watch_comparisons(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Report how many comparisons there are of each status at every scrape from now on."""
        self.registry.register(_ComparisonCollector(counts))

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _ComparisonCollector(Collector):
    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        gauge = GaugeMetricFamily("demur_comparisons", "Comparisons that are kept.", labels=["status"])
        for status, count in self._counts().items():
            gauge.add_metric([status], count)
        yield gauge


class _ModelCollector(Collector):
    """Of several models each has the label `model`; of one alone there is nothing to tell apart."""

    def __init__(self, models: Mapping[str, HousedModel]) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        labels = ["model"] if len(self._models) > 1 else []
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        batches = HistogramMetricFamily("demur_batch_size", "Sequences per decoding step.", labels=labels)
        for name, model in self._models.items():
            where = [name][: len(labels)]
            tables = [_of_model(model)]
            serving = model.serving  # which may be let go meanwhile
            if serving is not None:
                stats = serving.engine.stats()
                tables.append(_of_engine(stats))
                _add_batch_sizes(batches, where, stats)
            for gauges, counters in tables:
                for kind, table in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
                    for metric, (help_text, value) in table.items():
                        family = families.setdefault(metric, kind(metric, help_text, labels=labels))
                        family.add_metric(where, value)
        yield from families.values()
        yield batches


_Table = dict[str, tuple[str, float]]
"""By name, what a metric means and its value."""


def _of_model(model: HousedModel) -> tuple[_Table, _Table]:
    """Gauges and counters of a model, open or not."""
    gauges: _Table = {
        "demur_model_open": ("1 if the model is in memory, 0 if it is not.", model.serving is not None),
        "demur_model_loans": ("Requests that use the model, or wait until it is open.", model.loans),
        "demur_model_weight_bytes": ("Bytes of its weights, once it was opened.", model.weight_bytes),
        "demur_model_load_seconds": ("Time that it took to open it, the last time.", model.load_seconds),
    }
    return gauges, {"demur_model_loads": ("How often the model was opened.", model.loads)}


def _of_engine(stats: EngineStats) -> tuple[_Table, _Table]:
    """Gauges and counters of an engine. They begin again at 0 when its model is opened again."""
    gauges: _Table = {
        "demur_rows_in_use": ("Sequences that are decoding now.", stats.rows_in_use),
        "demur_rows": ("Sequences that can decode at the same time.", stats.max_rows),
        "demur_context_tokens": ("Most tokens of prompt and completion together.", stats.max_context),
        "demur_cache_bytes": ("Memory of keys and values.", stats.cache_bytes),
        "demur_cache_most_bytes": ("The same, if every row held a full context.", stats.most_cache_bytes),
        "demur_kv_cache_usage_perc": (
            "Part of the rows that a sequence is decoding in, 0 to 1.",
            stats.rows_in_use / max(1, stats.max_rows),
        ),
        "demur_requests_waiting": ("Requests that wait to begin.", stats.waiting_requests),
        "demur_num_requests_waiting": ("The same, by vLLM's name.", stats.waiting_requests),
        "demur_requests_active": ("Requests that are decoding now.", stats.active_requests),
        "demur_num_requests_running": ("The same, by vLLM's name.", stats.active_requests),
    }
    counters: _Table = {
        "demur_requests_finished": ("Generations that ended by themselves.", stats.requests_finished),
        "demur_requests_failed": ("Generations that ended with an error.", stats.requests_failed),
        "demur_requests_cancelled": ("Generations whose client went away.", stats.requests_cancelled),
        "demur_requests_refused": (
            "Requests refused, or ended, since too many waited.",
            stats.requests_refused,
        ),
        "demur_requests_timed_out": ("Requests ended by their deadline.", stats.requests_timed_out),
        "demur_prompt_tokens": ("Tokens of prompts.", stats.prompt_tokens),
        "demur_prefix_cache_queries": ("The same, by vLLM's name.", stats.prompt_tokens),
        "demur_cached_prompt_tokens": ("Of these, still in the cache.", stats.cached_prompt_tokens),
        "demur_prefix_cache_hits": ("The same, by vLLM's name.", stats.cached_prompt_tokens),
        "demur_generated_tokens": ("Tokens drawn.", stats.drawn_tokens),
        "demur_generation_tokens": ("The same, by vLLM's name.", stats.drawn_tokens),
        "demur_discarded_tokens": ("Tokens drawn that are in no completion.", stats.discarded_tokens),
        "demur_scored_tokens": ("Tokens of texts that were scored.", stats.scored_tokens),
        "demur_shared_rows": (
            "Tokens whose distribution was computed for another text that is the same so far.",
            stats.shared_rows,
        ),
        "demur_forward_passes": ("Forward passes of the model.", stats.forward_passes),
    }
    return gauges, counters


def _add_batch_sizes(family: HistogramMetricFamily, labels: list[str], stats: EngineStats) -> None:
    """Rows computed per forward pass of decoding, cumulative over the bounds as Prometheus wants them."""
    sizes = dict(stats.batch_sizes)
    buckets = [
        (str(bound), float(sum(count for size, count in sizes.items() if size <= bound)))
        for bound in _BATCH_SIZES
    ]
    family.add_metric(
        labels,
        buckets=[*buckets, ("+Inf", float(sum(sizes.values())))],
        sum_value=float(sum(size * count for size, count in sizes.items())),
    )
