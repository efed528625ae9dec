"""HTTP/1.1 read strictly: what two readers may understand in two ways is refused (RFC 9112, section 11.2)."""

import re

import h11

_HEAD_END = re.compile(rb"\n\r?\n")
# A line ends with CR LF and in no other way, no line goes on the one before it ("obs-fold"), and there are no
# control characters besides tabs.
_AMBIGUOUS = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#@]+)((?:[/?][^#]*)?)", re.IGNORECASE)
_MOST_HEADER_BYTES = 16 * 1024  # as h11 has it for a header that is not complete


class StrictParser(h11.Connection):
    """h11, without what it forgives: bare CR and LF, folded headers, two ways to tell a body's length.

    The header of an answer is sent with the first of its body, for it is there at once: the system takes
    longer for two packets than we for many an answer. Only a stream's goes ahead.

    Attributes:
        sends_events: the answer that was begun last is a stream of server-sent events.
    """

    sends_events = False
    _header: tuple[bytes, ...] = ()

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """What to send for an event; see h11, whose `send` calls this too."""
        parts = super().send_with_data_passthrough(event)
        if parts is None:
            return None
        parts, self._header = [*self._header, *parts], ()
        if isinstance(event, h11.Response):
            kind = next((value for name, value in event.headers if name == b"content-type"), b"")
            self.sends_events = kind.startswith(b"text/event-stream")
            if not self.sends_events:
                parts, self._header = [], tuple(parts)
        return parts

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event.

        Raises:
            h11.RemoteProtocolError: the request is not HTTP/1.1; its hint is the status to answer with.
        """
        if self.their_state is h11.IDLE:
            _require_plain_header(self.trailing_data[0])
        event = super().next_event()
        if isinstance(event, h11.Request):
            _require_one_framing(event)
            return _in_origin_form(event)
        return event


def _require_plain_header(received: bytes) -> None:
    end = _HEAD_END.search(received)
    if end is None:
        return
    if end.end() > _MOST_HEADER_BYTES:
        reason = f"its header has {end.end()} bytes, and {_MOST_HEADER_BYTES} are the most"
        raise h11.RemoteProtocolError(reason, error_status_hint=431)
    if _AMBIGUOUS.search(received, 0, end.end()):
        raise h11.RemoteProtocolError(
            "a header's line is folded, or holds a control character, or ends in LF"
        )


def _require_one_framing(request: h11.Request) -> None:
    names = {name for name, _ in request.headers}
    if request.http_version not in (b"1.0", b"1.1"):
        raise h11.RemoteProtocolError("only HTTP/1.0 and HTTP/1.1 are spoken here", error_status_hint=505)
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names:
        raise h11.RemoteProtocolError("it has a content-length and a transfer-encoding; send one of them")
    if request.http_version == b"1.0":
        raise h11.RemoteProtocolError("HTTP/1.0 has no transfer-encoding; send a content-length")


def _in_origin_form(request: h11.Request) -> h11.Request:
    """The same request, without the host in its target; what `Host` says beside that counts for nothing.

    Proxies are asked in this form, and every server has to understand it (RFC 9112, section 3.2.2).
    """
    found = _ABSOLUTE_FORM.fullmatch(request.target)
    if found is None:
        return request
    host, path = found.groups()
    target = path if path.startswith(b"/") else b"/" + path
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method,
        target=b"*" if request.method == b"OPTIONS" and not path else target,
        headers=[(b"host", host), *headers],
        http_version=request.http_version,
    )
