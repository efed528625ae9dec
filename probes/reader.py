"""Reads probes while a text is being written: work per token only where a probe's rule holds.

What a later token needs of an earlier one of its step is its `Trace`, which lives with the token, so that a
rewind takes it away and a fork shares it.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from probes.inputs import PAST
from probes.probe import Probe
from probes.rule import Rule, TokenStates, Trace, TracedToken


class ProbeReader:
    """All probes of a checkpoint, ready to be read.

    layers: those whose hidden states are needed. probes: by name.
    """

    def __init__(self, probes: Sequence[Probe]) -> None:
        self.probes: Mapping[str, Probe] = {probe.name: probe for probe in probes}
        self.layers = tuple(sorted({layer for probe in probes for layer in probe.layers}))
        self._plans: dict[tuple[str, ...], ReadingPlan] = {}

    def plan(self, names: Collection[str]) -> "ReadingPlan":
        """How to read some of the probes; made once for each collection of names."""
        key = tuple(sorted(names))
        if key not in self._plans:
            self._plans[key] = ReadingPlan([self.probes[name] for name in key], self.layers)
        return self._plans[key]


class ReadingPlan:
    """Some of the probes of a reader, by where they are read.

    signals: names of the token signals that must be known of every token, `PAST` or none.
    """

    def __init__(self, probes: Sequence[Probe], layers: Sequence[int]) -> None:
        self.names = frozenset(probe.name for probe in probes)
        self.signals = PAST if any(probe.signals for probe in probes) else ()
        self._pools = any(probe.pooling == "mean" for probe in probes)
        self._rules = [
            Rule(position, [each for each in probes if each.position == position], layers)
            for position in dict.fromkeys(probe.position for probe in probes)
        ]
        endings = {frozenset(probe.position.closing) for probe in probes}
        self._closing = endings.pop() if len(endings) == 1 else None

    def trace(
        self, written: Sequence[TracedToken], states: TokenStates, signals: tuple[float, ...]
    ) -> Trace | None:
        """What is to be kept with the token that comes after `written`.

        Args:
            states: (L, D) at the reader's layers.
            signals: `self.signals` at the token.
        """
        if not self._pools and not self.signals:
            return None
        # A view would keep the whole batch.
        kept = states.copy() if self._pools else None
        return Trace(kept, signals, *self.place(written))

    def place(self, written: Sequence[TracedToken]) -> tuple[int, int]:
        """Where the next token's step begins, and how many steps come before it; if rules do not agree on
        what closes a step, as if nothing did."""
        return self._place(written, self._closing or frozenset())

    def read(
        self,
        written: Sequence[TracedToken],
        token_id: int,
        states: TokenStates,
        signals: Sequence[float],
    ) -> dict[str, float]:
        """Calibrated probabilities, by name, of the probes that are read at a token.

        Args:
            written: the completion's tokens before it.
            token_id: the token, or `NO_TOKEN` before it is chosen.
            states: (L, D) at the reader's layers, where the model predicts the token.
            signals: at least `CURRENT` of the same distribution, if `self.signals` names any.
        """
        scores: dict[str, float] = {}
        place = None if self._closing is None else self._place(written, self._closing)
        for rule in self._rules:
            start, number = place or self._place(written, rule.closing)
            if rule.may_hold(len(written) - start, number, token_id):
                rule.read(scores, written, start, number, token_id, states, signals)
        return scores

    def _place(self, written: Sequence[TracedToken], closing: frozenset[int]) -> tuple[int, int]:
        """Where the next token's step begins, and how many steps come before it.

        What the token before knows is used, if all rules agree on what closes a step.
        """
        if not written:
            return 0, 0
        last = written[-1]
        if last.trace is None or self._closing is None:
            start = len(written)
            while start and written[start - 1].id not in closing:
                start -= 1
            return start, _count_steps(written[:start], closing)
        if last.id in closing:
            return len(written), last.trace.number + (last.trace.start < len(written) - 1)
        return last.trace.start, last.trace.number


def _count_steps(tokens: Sequence[TracedToken], closing: Collection[int]) -> int:
    """How many of the closing tokens close something."""
    return sum(token.id in closing and before.id not in closing for before, token in pairwise(tokens))
