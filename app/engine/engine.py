"""The engine: the decoding loop in a thread of its own, with a thread-safe way in and out."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import torch

from app.decoding.calibration import Calibration
from app.decoding.signals import PROBE_PREFIX, SIGNALS
from app.decoding.types import Token
from app.engine.loop import DecodingLoop
from app.engine.readout import Reading
from app.engine.scoring import ScoreJob
from app.engine.stream import Stream
from app.engine.types import (
    ChoiceDone,
    EngineLimits,
    EngineStats,
    Failed,
    GenerationRequest,
    PromptScored,
    RequestDone,
    Served,
    StreamItem,
    TokenOut,
    Usage,
)
from app.engine.validation import (
    check_no_probes,
    check_prompt,
    check_readings,
    check_request,
    check_thresholds,
)
from app.errors import ContextLengthError, DemurError, EngineStoppedError, OverloadedError
from probes.probe import Probe

logger = logging.getLogger(__name__)


class Engine:
    """Serves one model. `start()` it, or use it as a context manager.

    probes: those that requests may ask for, as signals `probe:NAME`; they must fit the model.
    calibration: thresholds for the strategies that were given none; it must be of this checkpoint.
    """

    def __init__(
        self,
        checkpoint: Served,
        limits: EngineLimits | None = None,
        probes: Sequence[Probe] = (),
        calibration: Calibration | None = None,
    ) -> None:
        self.limits = limits or EngineLimits()
        self.model = checkpoint.model
        # Tensors made here are changed by passes in inference mode later.
        with torch.inference_mode():
            self._loop = DecodingLoop(checkpoint, self.limits, probes, calibration)
        self.signals = (*SIGNALS, *(PROBE_PREFIX + probe.name for probe in probes))
        self._calibration = calibration
        self._inbox: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._queued = 0
        self._refused = 0

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and completion together."""
        return self._loop.context_length

    @property
    def vocabulary(self) -> Sequence[bytes]:
        """The bytes of every token id; empty for tokens without text."""
        return self._loop.vocabulary

    @property
    def running(self) -> bool:
        """Takes requests."""
        return self._thread is not None and self._thread.is_alive() and not self._stopping

    def start(self) -> None:
        """Begin to serve."""
        if self._thread is not None:
            raise EngineStoppedError("The engine was started before; make a new one.")
        self._thread = threading.Thread(target=self._run, name="demur-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End all requests with `EngineStoppedError` and wait for the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> "Engine":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self, request: GenerationRequest) -> None:
        """Raise the `RequestError` that `submit` would, if the request is at fault."""
        check_request(request, self.limits, self.context_length, self.model.spec.vocab_size, self.signals)
        check_thresholds(request.strategy, self._calibration)

    def submit(self, request: GenerationRequest) -> Stream:
        """Take a request; its items come out of the stream.

        Raises:
            RequestError: the request is at fault; `param` names the field.
            OverloadedError: too many requests are waiting.
            EngineStoppedError: the engine is not running.
        """
        self.check(request)
        stream = Stream(self._cancel)
        self._enqueue(lambda: self._loop.submit(request, stream), request.background)
        return stream

    def score(
        self, token_ids: Sequence[int], signals: Sequence[str] = (), top_logprobs: int = 0
    ) -> list[Token]:
        """The text's tokens from the second on (nothing predicts the first), teacher-forced.

        Blocks; `score_async` is for event loops. Raises what `submit` does, and `ModelFailureError`.
        """
        return self._submit_score(token_ids, signals, top_logprobs).result()

    async def score_async(
        self, token_ids: Sequence[int], signals: Sequence[str] = (), top_logprobs: int = 0
    ) -> list[Token]:
        """`score` for an event loop; cancelling it takes the text out of the queue."""
        return await asyncio.wrap_future(self._submit_score(token_ids, signals, top_logprobs))

    def stats(self) -> EngineStats:
        """Counters and gauges, from any thread; of a moment that may lie within a tick."""
        loop, counters = self._loop, self._loop.counters
        return EngineStats(
            rows_in_use=self.limits.max_rows - loop.slots.free(),
            max_rows=self.limits.max_rows,
            waiting_requests=self._waiting(),
            active_requests=len(loop.active),
            requests_finished=counters.finished,
            requests_failed=counters.failed,
            requests_cancelled=counters.cancelled,
            requests_refused=self._refused,
            prompt_tokens=counters.prompt_tokens,
            cached_prompt_tokens=counters.cached_prompt_tokens,
            drawn_tokens=counters.drawn_tokens,
            discarded_tokens=counters.discarded_tokens,
            forward_passes=counters.forward_passes,
            forward_rows=counters.forward_rows,
            shared_rows=counters.shared_rows,
            prefill_tokens=counters.prefill_tokens,
            scored_tokens=counters.scored_tokens,
            batch_sizes=dict(counters.batch_sizes),
        )

    def _submit_score(
        self, token_ids: Sequence[int], signals: Sequence[str], top_logprobs: int
    ) -> "Future[list[Token]]":
        spec = self.model.spec
        check_prompt(token_ids, spec.vocab_size)
        check_readings(signals, top_logprobs, self.limits, self.signals)
        check_no_probes(signals)
        if len(token_ids) > self.context_length:
            raise ContextLengthError(
                f"The text has {len(token_ids)} tokens; the context holds {self.context_length}. Shorten it.",
                param="prompt",
            )
        job = ScoreJob(tuple(token_ids), Reading(tuple(dict.fromkeys(signals)), top_logprobs), Future())
        self._enqueue(lambda: self._loop.scores.append(job))
        return job.result

    def _waiting(self) -> int:
        """Live requests that have not begun; those in the background are nobody's hurry."""
        return self._queued + len(self._loop.live.waiting) + len(self._loop.scores)

    def _enqueue(self, command: Callable[[], None], background: bool = False) -> None:
        with self._changed:
            if not self.running:
                raise EngineStoppedError("The engine is not running; start() it, or try again later.")
            if not background and self._waiting() >= self.limits.max_waiting:
                self._refused += 1
                raise OverloadedError(
                    f"{self._waiting()} requests are waiting, and no more than "
                    f"{self.limits.max_waiting} may. Try again later."
                )
            self._queued += not background
            self._inbox.append(command)
            self._changed.notify()

    def _cancel(self, stream: Stream) -> None:
        with self._changed:
            self._inbox.append(lambda: self._loop.cancel(stream))
            self._changed.notify()

    @torch.inference_mode()
    def _run(self) -> None:
        loop = self._loop
        while True:
            with self._changed:
                while loop.idle and not self._inbox and not self._stopping:
                    self._changed.wait()
                commands, self._inbox = self._inbox, deque()
                self._queued = 0
                for command in commands:
                    command()
                if self._stopping:
                    loop.fail_all(EngineStoppedError("The engine was stopped."))
                    return
            try:
                loop.tick()
            except Exception as error:
                # A fault of the engine itself: nobody's request can be trusted to go on.
                logger.exception("A tick of the engine failed.")
                failure = DemurError(f"The engine failed: {type(error).__name__}: {error}")
                failure.__cause__ = error
                loop.fail_all(failure)


__all__ = [
    "ChoiceDone",
    "Engine",
    "EngineLimits",
    "EngineStats",
    "Failed",
    "GenerationRequest",
    "PromptScored",
    "RequestDone",
    "Stream",
    "StreamItem",
    "TokenOut",
    "Usage",
]
