"""The engine: the decoding loop in a thread of its own, with a thread-safe way in and out."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from weakref import WeakSet

import torch

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.signals import PROBE_PREFIX, SIGNALS
from app.decoding.core.types import Token
from app.engine.failures import engine_failure
from app.engine.loop import DecodingLoop
from app.engine.queue import Queue
from app.engine.reading import Reading
from app.engine.requests import RequestGroup
from app.engine.scoring import GivenText, ScoreJob, fail
from app.engine.stream import Stream
from app.engine.types import EngineLimits, EngineStats, GenerationRequest, Served
from app.engine.validation import check_request, check_texts, check_thresholds
from app.errors import DemurError, EngineStoppedError
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
        calibration: SignalCalibration | None = None,
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
        self._queue = Queue(self.limits.max_waiting, self.limits.max_queue_seconds)
        # What anybody waits for, kept apart from the loop, in whatever state that is.
        self._streams: WeakSet[Stream] = WeakSet()
        self._results: WeakSet[Future[list[Token]]] = WeakSet()

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and completion together."""
        return self._loop.context_length

    @property
    def vocabulary(self) -> Sequence[bytes]:
        """The bytes of every token id; empty for tokens without text."""
        return self._loop.specs.vocabulary

    @property
    def full_vocabulary(self) -> Sequence[bytes]:
        """The same with the names of special tokens, for requests that do not skip these."""
        return self._loop.specs.full_vocabulary

    @property
    def running(self) -> bool:
        """Takes requests."""
        return self._thread is not None and self._thread.is_alive() and not self._stopping

    def start(self) -> None:
        """Begin to serve."""
        if self._thread is not None:
            raise EngineStoppedError("The engine was started before; make a new one.")
        stats = self.stats()
        logger.info(
            "up to %d sequences of %d tokens; keys and values take %.1f MB now, %.1f MB if all are full",
            stats.max_rows,
            stats.max_context,
            stats.cache_bytes / 1e6,
            stats.most_cache_bytes / 1e6,
        )
        self._thread = threading.Thread(target=self._run, name="demur-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End all requests with `EngineStoppedError` and wait for the thread."""
        with self._changed:
            self._stopping = True
            self._wake()
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

    def require_room(self, client: str) -> None:
        """Raise the `OverloadedError` that a request of this client would meet now, before it is read."""
        self._queue.require_room(time.monotonic(), client, self._loop.room)

    def submit(self, request: GenerationRequest) -> Stream:
        """Take a request; its items come out of the stream.

        Raises:
            RequestError: the request is at fault; `param` names the field.
            OverloadedError: too many requests are waiting.
            EngineStoppedError: the engine is not running.
        """
        return self.submit_all([request])[0]

    def submit_all(self, requests: Sequence[GenerationRequest]) -> list[Stream]:
        """Take requests of one client that belong together, or none of them; each has its stream.

        They share a turn and the first one's `timeout`, and count as one where requests wait.
        Raises what `submit` does.
        """
        for request in requests:
            self.check(request)
        streams = [Stream(self._cancel) for _ in requests]
        first = requests[0]
        group = self._group(first.client, first.timeout, first.background)

        def take() -> None:
            for request, stream in zip(requests, streams, strict=True):
                self._loop.submit(request, stream, group)

        self._enqueue(take, group, streams=streams)
        return streams

    def drawn_tokens(self, stream: Stream) -> int:
        """How many were computed for a request so far, or until it was over; from any thread."""
        active = self._loop.under_way.of(stream)
        return stream.drawn_tokens if active is None else active.drawn_tokens

    def score(
        self, token_ids: Sequence[int], signals: Sequence[str] = (), top_logprobs: int = 0
    ) -> list[Token]:
        """The text's tokens from the second on (nothing predicts the first), teacher-forced.

        Blocks; `score_all_async` is for event loops. Raises what `submit` does, and `ModelFailureError`.
        """
        return self.submit_scores([token_ids], signals, top_logprobs)[0].result()

    async def score_all_async(
        self,
        texts: Sequence[Sequence[int]],
        signals: Sequence[str] = (),
        top_logprobs: int = 0,
        *,
        client: str = "",
        timeout: float | None = None,
    ) -> list[list[Token]]:
        """`submit_scores` for an event loop; cancelling it takes the texts out of the line."""
        results = self.submit_scores(texts, signals, top_logprobs, client=client, timeout=timeout)
        try:
            return [await asyncio.wrap_future(result) for result in results]
        finally:
            for result in results:
                result.cancel()

    def submit_scores(
        self,
        texts: Sequence[Sequence[int]],
        signals: Sequence[str] = (),
        top_logprobs: int = 0,
        *,
        client: str = "",
        timeout: float | None = None,
    ) -> "list[Future[list[Token]]]":
        """`score` of several texts that belong together; all are taken, or none.

        client, timeout: as of `GenerationRequest`. A result that is cancelled takes its text out of the line.
        """
        reading = Reading(tuple(dict.fromkeys(signals)), top_logprobs)
        vocab_size = self.model.spec.vocab_size
        check_texts(texts, reading, self.limits, self.context_length, vocab_size, self.signals)
        jobs = [ScoreJob(GivenText(tuple(token_ids), reading), Future()) for token_ids in texts]
        group = self._group(client, timeout)
        self._enqueue(lambda: self._loop.score(group, jobs), group, jobs=jobs)
        return [job.result for job in jobs]

    def stats(self) -> EngineStats:
        """Counters and gauges, from any thread; of a moment that may lie within a tick."""
        loop = self._loop
        return loop.counters.stats(
            rows_in_use=self.limits.max_rows - loop.slots.free(),
            max_rows=self.limits.max_rows,
            max_context=self.context_length,
            cache_bytes=loop.cache.held_bytes,
            most_cache_bytes=loop.cache.most_bytes * self.limits.max_rows // loop.cache.slots,
            waiting_requests=self._queue.waiting,
            active_requests=len(loop.under_way),
            requests_refused=self._queue.refused,
        )

    def _group(self, client: str, timeout: float | None, background: bool = False) -> RequestGroup:
        return RequestGroup(
            client, background, None if background else self._queue, timeout, time.monotonic()
        )

    def _enqueue(
        self,
        command: Callable[[], None],
        group: RequestGroup,
        streams: Sequence[Stream] = (),
        jobs: Sequence[ScoreJob] = (),
    ) -> None:
        """Have a group taken by the engine's thread; if that fails, it fails alone."""

        def take() -> None:
            try:
                command()
            except BaseException as fault:
                logger.exception("A request could not be taken.")
                self._loop.under_way.fail_group(group, engine_failure(fault))
                for stream in streams:
                    stream.fail(engine_failure(fault))
                for job in jobs:
                    fail(job.result, engine_failure(fault))

        with self._changed:
            if not self.running:
                raise EngineStoppedError("The engine is not running; start() it, or try again later.")
            if group.queue is not None:
                group.queue.join(group.arrived, group.client, self._loop.room)
            self._streams.update(streams)
            self._results.update(job.result for job in jobs)
            self._inbox.append(take)
            self._wake()

    def _cancel(self, stream: Stream) -> None:
        with self._changed:
            if self.running:
                self._inbox.append(lambda: self._loop.cancel(stream))
                self._wake()

    def _wake(self) -> None:
        """There is news for the engine's thread, wherever that is."""
        self._loop.halt.ask()
        self._changed.notify()

    def _run(self) -> None:
        """The engine's thread. However it ends, nobody waits for it afterwards."""
        error: DemurError = EngineStoppedError("The engine was stopped.")
        try:
            self._serve(error)
        except BaseException as fault:
            logger.exception("The engine's thread cannot go on.")
            error = engine_failure(fault)
        with self._changed:
            self._stopping = True
            self._inbox.clear()
        for stream in list(self._streams):
            stream.fail(error)
        for result in list(self._results):
            fail(result, error)

    @torch.inference_mode()
    def _serve(self, stopped: DemurError) -> None:
        loop = self._loop
        while True:
            with self._changed:
                while loop.idle and not self._inbox and not self._stopping:
                    self._changed.wait()
                commands, self._inbox, stopping = self._inbox, deque(), self._stopping
                loop.halt.clear()
            for command in commands:
                self._attempt(command)
            if stopping:
                loop.fail_all(stopped)
                return
            self._attempt(loop.tick)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as fault:
            # A fault of the engine itself: nobody's request can be trusted to go on.
            logger.exception("The engine failed.")
            self._loop.fail_all(engine_failure(fault))
