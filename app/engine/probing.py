"""Probes at the tokens of one batch."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from torch import Tensor

from app.decoding.core.commands import TokenCommand
from app.decoding.core.signals import PROBE_PREFIX
from probes.inputs import CURRENT
from probes.reader import ProbeReader, ReadingPlan
from probes.rule import NO_TOKEN, Projection, Trace


class Probing:
    """Reads the probes that the rows of a batch ask for.

    hidden: (R, d) states of the rows by layer, at the layers that the reader needs. They are projected for
    all rows at once, when the first of them is read.
    """

    def __init__(
        self,
        reader: ProbeReader,
        hidden: Mapping[int, Tensor],
        requests: Sequence[TokenCommand],
    ) -> None:
        self._reader = reader
        self._hidden = hidden
        self._requests = requests

    @cached_property
    def _projection(self) -> Projection:
        return self._reader.project(self._hidden, len(self._requests))

    def before_choice(self, row: int, plan: ReadingPlan, signals: Mapping[str, float]) -> dict[str, float]:
        """Scores that do not depend on the token to be drawn, by signal name."""
        written = self._requests[row].sequence.tokens
        current = [signals[name] for name in CURRENT] if plan.signals else ()
        return _named(plan.read(written, NO_TOKEN, self._projection[row], current))

    def at(
        self, row: int, plan: ReadingPlan, token_id: int, signals: Mapping[str, float]
    ) -> tuple[dict[str, float], Trace | None]:
        """Scores at the chosen token, by signal name, and what later tokens will need of it.

        signals: values of `plan.signals`, and of others maybe.
        """
        written = self._requests[row].sequence.tokens
        projection = self._projection[row]
        needed = tuple([signals[name] for name in plan.signals])
        scores = plan.read(written, token_id, projection, needed)
        return _named(scores) if scores else scores, plan.trace(written, projection, needed)


def _named(scores: Mapping[str, float]) -> dict[str, float]:
    return {PROBE_PREFIX + name: score for name, score in scores.items()}
