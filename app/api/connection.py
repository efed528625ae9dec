"""A connection of `demur serve`: uvicorn's, with an end to every wait for the client."""

import asyncio
import fcntl
import logging
import sys
import termios
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from itertools import chain, repeat
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import Any, ClassVar, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from app.api.errors import ApiError
from app.api.middleware import fresh_request_id
from app.api.parser import StrictParser
from app.errors import ErrorCode
from app.settings import Settings

log = logging.getLogger(__name__)

_LINGER_SECONDS = 1.0  # after a refusal, so that the client reads it: closing at once may take it away
_MOST_LINGERING = 64
# When the client sends no more, whether it still listens; the first answer to a write comes with the second.
_STILL_THERE_AFTER = (0.25, 0.1)
_STILL_THERE_EVERY = 1.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_COMMENT = b"3\r\n:\n\n\r\n"  # a chunk with a server-sent event's comment, which clients pass over


@dataclass(frozen=True)
class Limits:
    """How long a client may take, in seconds, and how many connections there may be."""

    header_seconds: float
    keep_alive_seconds: float
    write_seconds: float
    connections: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits that an operator has set."""
        return cls(
            settings.header_timeout_seconds,
            settings.keep_alive_seconds,
            settings.write_timeout_seconds,
            settings.max_connections,
        )


def protocol(settings: Settings) -> type[H11Protocol]:
    """The class of connections with these settings, for uvicorn's `http`."""
    return type("LimitedConnection", (Connection,), {"limits": Limits.of(settings)})


class Phase(Enum):
    """Who has to do something next on a connection."""

    HEADER = auto()  # the client: the rest of a request's header
    ANSWER = auto()  # we: a request is being answered. Its body's time is up to `app.api.middleware`
    IDLE = auto()  # the client: another request, or what is left of a body that nobody wanted


class Connection(H11Protocol):
    """One client. It is closed when the client takes too long, or lets go of when there are too many."""

    limits: ClassVar[Limits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = StrictParser(h11.SERVER)
        self.waiting_since = self.loop.time()
        self.refused = False
        self._phase: Phase | None = None
        self._no_more_input = False
        self._patience: asyncio.TimerHandle | None = None  # for what the client has to send
        self._unread: asyncio.TimerHandle | None = None  # for what it has to read
        self._watch: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` as soon as the client reads too slowly
        if self._room_for_one_more():
            self._enter_phase()

    def data_received(self, data: bytes) -> None:
        if not self.refused:
            super().data_received(data)
            self._enter_phase()

    def eof_received(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride] (uvicorn only has None)
        """The client sends nothing more, but may wait for its answer. Returns whether to stay open."""
        self._no_more_input = True
        self._end_without_input()
        if not self.transport.is_closing() and self.scope["http_version"] == "1.1":
            self._watch = self.loop.create_task(self._notice_that_it_left())
        return not self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._patience, self._unread, self._watch):
            if timer is not None:
                timer.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()  # begins with the next request, if that is there already
        if self._no_more_input:
            self._end_without_input()
        self._enter_phase()

    def send_400_response(self, msg: str) -> None:
        fault = sys.exception()  # what the parser raised: uvicorn calls this while it handles that
        status = fault.error_status_hint if isinstance(fault, h11.RemoteProtocolError) else 400
        self._refuse(
            f"The request is not HTTP/1.1 as RFC 9112 has it: {fault or msg}", status, "invalid_http"
        )

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading(self._untaken())

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def _room_for_one_more(self) -> bool:
        """Whether this new connection may stay. One that waits longest for its client makes room for it."""
        if len(self.connections) <= self.limits.connections:
            return True
        others = [each for each in self.connections if isinstance(each, Connection) and each is not self]
        kept = [each for each in others if not (each.refused or each.transport.is_closing())]
        if len(kept) < self.limits.connections:
            return True
        if waiting := [each for each in kept if each.is_waiting]:
            min(waiting, key=_waiting_since).transport.abort()
            return True
        if sum(each.refused for each in others) >= _MOST_LINGERING:
            self.transport.abort()
        else:
            self._refuse(
                f"{self.limits.connections} connections are open, and no more may be "
                "(DEMUR_MAX_CONNECTIONS); try again in a moment",
                503,
                "too_many_connections",
            )
        return False

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is being done for the client."""
        return self._phase is not Phase.ANSWER

    @property
    def _answering(self) -> RequestResponseCycle | None:
        """The request that is being answered."""
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None until there is a first one
        return None if cycle is None or cycle.response_complete else cycle

    def _current_phase(self) -> Phase:
        if self._answering:
            return Phase.ANSWER
        first = self._phase in (None, Phase.HEADER)
        begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        return Phase.HEADER if first or begun else Phase.IDLE

    def _enter_phase(self) -> None:
        """Start the client's time when its phase begins; nothing that it sends meanwhile extends it."""
        if self.refused or (phase := self._current_phase()) is self._phase:
            return
        self._phase = phase
        self.waiting_since = self.loop.time()
        if self._patience is not None:
            self._patience.cancel()
        if self.transport.is_closing() or phase is Phase.ANSWER:
            return
        limits = self.limits
        seconds = limits.header_seconds if phase is Phase.HEADER else limits.keep_alive_seconds
        self._patience = self.loop.call_later(seconds, self._lose_patience)

    def _lose_patience(self) -> None:
        if self._phase is Phase.HEADER and self.conn.trailing_data[0]:
            seconds = self.limits.header_seconds
            self._refuse(
                f"The request's header did not arrive within {seconds:g} s (DEMUR_HEADER_TIMEOUT_SECONDS)",
                408,
                "request_timeout",
            )
        else:
            self.transport.close()

    def _end_without_input(self) -> None:
        """The client sends nothing more: end at once, unless it is to get an answer."""
        answering = self._answering
        if self.refused or answering is None:
            self.transport.close()
        elif answering.more_body:
            self._refuse("The request's body ended before all of it was sent", 400, "invalid_http")

    async def _notice_that_it_left(self) -> None:
        """Whether a client that sends nothing more is gone shows only when something is sent to it."""
        for seconds in chain(_STILL_THERE_AFTER, repeat(_STILL_THERE_EVERY)):
            await asyncio.sleep(seconds)
            if self.transport.is_closing() or self._answering is None:
                return
            if not self._answering.response_started:
                self.transport.write(_CONTINUE)
            elif self.conn.sends_events and self.conn.our_state is h11.SEND_BODY:
                self.transport.write(_COMMENT)
            else:
                return

    def _expect_reading(self, unread: int) -> None:
        self._unread = self.loop.call_later(self.limits.write_seconds, self._check_reading, unread)

    def _check_reading(self, before: int) -> None:
        unread = self._untaken()
        if unread < before:
            self._expect_reading(unread)
        else:
            log.info("a client read nothing for %g s", self.limits.write_seconds)
            # Reset: else the system keeps what is unsent, for a client that does not want it.
            self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
            self.transport.abort()

    def _untaken(self) -> int:
        """Bytes that the client has not taken: those here, and those in the system's buffer. That may hold
        megabytes, and takes no more before a third of them is gone, which is long for a slow client."""
        here = self.transport.get_write_buffer_size()
        try:
            there = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:  # not every system tells
            return here
        return here + int.from_bytes(there, sys.byteorder)

    def refuse_unread(self, error: ApiError) -> None:
        """Answer so if a request has come whose body has not come whole, and take no more of it."""
        answering = self._answering
        if not self.refused and answering is not None and answering.more_body:
            self._refuse_with(error)

    def _refuse(self, message: str, status: int, code: ErrorCode) -> None:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        headers = {"retry-after": "1"} if status == 503 else {}
        self._refuse_with(ApiError(message, status=status, type=kind, code=code, headers=headers))

    def _refuse_with(self, error: ApiError) -> None:
        """Answer with an error, take nothing more, and close once the client has had time to read it."""
        self.refused = True
        answering = self._answering
        if answering is not None:
            answering.disconnected = True  # whoever works on the request learns that it is over
            answering.message_event.set()
        if self.transport.is_closing() or (answering is not None and answering.response_started):
            self.transport.abort()
            return
        log.info("refused a connection of %s: %s", self.client, error)
        self.flow.resume_reading()
        self.transport.write(_whole_answer(error, self.server_state.default_headers))
        if self._no_more_input:
            self.transport.close()
            return
        self.transport.write_eof()
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)


def _waiting_since(connection: Connection) -> float:
    return connection.waiting_since


def _whole_answer(error: ApiError, server_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """An answer as it goes over the wire, for where there is no request that a response could belong to."""
    response = error.response()
    headers = [
        *server_headers,
        *(header for header in response.raw_headers if header[0] != b"connection"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", fresh_request_id().encode()),
        (b"connection", b"close"),
    ]
    reason = HTTPStatus(error.status).phrase.encode()
    start = h11.Response(status_code=error.status, reason=reason, headers=headers)
    head = h11.Connection(h11.SERVER).send(start)
    return (head or b"") + bytes(response.body)
