"""What happened since the engine started."""

from collections import Counter
from dataclasses import dataclass, field

from app.engine.forward import Outcome
from app.engine.types import EngineStats


@dataclass
class Counters:
    """What happened since the start; see `EngineStats`."""

    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    drawn_tokens: int = 0
    discarded_tokens: int = 0
    forward_passes: int = 0
    forward_rows: int = 0
    shared_rows: int = 0
    prefill_tokens: int = 0
    scored_tokens: int = 0
    batch_sizes: Counter[int] = field(default_factory=Counter[int])

    def count(self, outcome: Outcome) -> None:
        """Add a tick's forward pass."""
        self.forward_passes += outcome.passes
        self.prefill_tokens += outcome.prefill_tokens
        self.forward_rows += len(outcome.rows)
        self.shared_rows += len(outcome.rows) - outcome.computed
        self.batch_sizes[outcome.computed] += 1

    def stats(self, **gauges: int) -> EngineStats:
        """What is counted here, with what others know of now, by its names in `EngineStats`."""
        return EngineStats(
            **gauges,
            requests_finished=self.finished,
            requests_failed=self.failed,
            requests_cancelled=self.cancelled,
            requests_timed_out=self.timed_out,
            prompt_tokens=self.prompt_tokens,
            cached_prompt_tokens=self.cached_prompt_tokens,
            drawn_tokens=self.drawn_tokens,
            discarded_tokens=self.discarded_tokens,
            forward_passes=self.forward_passes,
            forward_rows=self.forward_rows,
            shared_rows=self.shared_rows,
            prefill_tokens=self.prefill_tokens,
            scored_tokens=self.scored_tokens,
            batch_sizes=dict(self.batch_sizes),
        )
