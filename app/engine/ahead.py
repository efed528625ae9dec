"""Writing ahead: tokens that the model draws itself, several to each row by one call where nothing is decided
between them.

What the rows get is the same to the last bit as token by token. Only how often they are asked differs: a call
lasts no longer than anybody notices, and ends early when there is news for the engine.
"""

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

from app.decoding.core.commands import NextToken
from app.decoding.core.signals import PROBE_PREFIX
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.engine.reading import COLUMNS, PAST_COLUMNS, read_probes
from app.engine.rows import Row
from models.language_model import KVCache, LanguageModel
from models.writing_ahead import Halt, ProbesAhead, RowAhead, WrittenAhead, writes_ahead
from probes.ahead import probes_of_steps
from probes.reader import ProbeReader

SECONDS, UNWATCHED_SECONDS = 0.01, 0.1
"""What a call may take: where tokens are streamed, and where all answers are collected to be given whole."""

MOST_PASSES = 32
"""Of a call, however fast the machine is."""


class WritingAhead:
    """Writes rows on, if the model does so. halt: has it stop."""

    def __init__(self, model: LanguageModel[Any], cache: KVCache, reader: ProbeReader) -> None:
        self.halt = Halt()
        self._model = writes_ahead(model)
        self._cache = cache
        self._layers = reader.layers
        self._seconds_a_row = 0.0
        self._probes = probes_of_steps(reader)
        self._packed: ProbesAhead | None = None
        if self._model is not None and self._probes is not None:
            self._packed = self._model.pack(self._probes.probes, len(reader.layers))

    def passes(self, rows: Sequence[Row], *, hurried: bool = False) -> int:
        """How many forward passes in a row they may have; 0 where the model does not draw what they ask for,
        and 1 where something has to be decided after each.

        hurried: somebody else waits meanwhile.
        """
        if self._model is None or not rows or not all(map(_is_drawn, rows)):
            return 0
        if not all(map(_goes_on_alone, rows)):
            return 1
        watched = hurried or any(not row.pending.choice.owner.stream.collecting for row in rows)
        seconds = SECONDS if watched else UNWATCHED_SECONDS
        expected = self._seconds_a_row * len(rows)
        return max(1, min(MOST_PASSES, int(seconds / expected))) if expected else 1

    def taken(self, rows: int, seconds: float) -> None:
        """Note how long passes took that computed a token of so many rows, together."""
        a_row = seconds / rows
        self._seconds_a_row = 0.7 * self._seconds_a_row + 0.3 * a_row if self._seconds_a_row else a_row

    def write(self, rows: Sequence[Row], passes: int) -> tuple[list[Iterator[Token]], list[int]]:
        """The tokens of every row, and how many rows were computed in each pass.

        A token is read when it is taken, with those before it in its sequence by then. Raises what the model
        does.
        """
        assert self._model is not None, "then there is no pass"
        probed = any(row.pending.choice.owner.reading.probes is not None for row in rows)
        asked = [self._row_ahead(row, passes) for row in rows]
        began = perf_counter()
        try:
            written = self._model.write(
                self._cache,
                asked,
                self._layers if probed else (),
                self.halt,
                self._packed if probed else None,
            )
        except Exception:
            for row in rows:
                row.slot.forget()
            raise
        places: list[list[int]] = [[] for _ in rows]
        for place, row in enumerate(written.rows):
            places[row].append(place)
        batches = [sum(len(own) > number for own in places) for number in range(max(map(len, places)))]
        self.taken(sum(batches), perf_counter() - began)
        return [self._tokens(row, own, written) for row, own in zip(rows, places, strict=True)], batches

    def _row_ahead(self, row: Row, passes: int) -> RowAhead:
        request = row.request
        assert isinstance(request, NextToken)
        assert isinstance(request.sampling, SamplingParams)
        sequence, plan = request.sequence, row.pending.choice.owner.reading.probes
        return RowAhead(
            row.ids[-1],
            row.slot.index,
            row.end - 1,
            # It may have written since it was asked for several.
            sequence.uniforms(min(passes, request.most, sequence.room)),
            request.sampling.temperature,
            sequence.spec.stops,
            self._probes.step_so_far(plan, sequence.tokens) if self._probes and plan else None,
        )

    def _tokens(self, row: Row, places: Sequence[int], written: WrittenAhead) -> Iterator[Token]:
        reading, before = row.pending.choice.owner.reading, row.request.sequence.tokens
        plan = reading.probes
        for place in places:
            token_id, logprob = written.ids[place], written.log_probs[place]
            measured = [*written.measures[place], 0.0 - logprob]
            signals = {name: measured[COLUMNS[name]] for name in reading.signals}
            trace = None
            if plan is not None and logprob == logprob:
                needed = tuple([measured[column] for column in PAST_COLUMNS]) if plan.signals else ()
                if self._probes is None:
                    scores, trace = read_probes(plan, before, token_id, written.states[place], needed)
                    signals.update(scores)
                else:
                    for name, score in zip(self._probes.names, written.scores[place], strict=True):
                        if score == score:
                            signals[PROBE_PREFIX + name] = score
                    trace = plan.trace(before, written.states[place], needed)
            yield Token(token_id, logprob, signals, trace=trace)


def _is_drawn(row: Row) -> bool:
    """Whether the model can draw its next token itself."""
    request, owner = row.request, row.pending.choice.owner
    return (
        isinstance(request, NextToken)
        and isinstance(request.sampling, SamplingParams)
        and request.sampling.is_plain
        and row.leader is None
        and row.start + 1 == row.end == len(row.ids)
        and owner.reading.is_measured
    )


def _goes_on_alone(row: Row) -> bool:
    """Whether its next few tokens are drawn whatever they are, and the model can tell where they end."""
    request = row.request
    return (
        isinstance(request, NextToken)
        and request.most > 1
        and not row.pending.choice.owner.spec.stopping.stop
    )
