"""What the parser of connections sends, beside h11's own."""

import h11
import pytest

from app.api.parser import StrictParser

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
JSON = [(b"content-type", b"application/json"), (b"content-length", b"2")]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]
CHUNKED = [(b"content-type", b"application/x-ndjson")]


def sent(parser: h11.Connection, headers: list[tuple[bytes, bytes]], body: list[bytes]) -> list[bytes]:
    """What goes over the wire for an answer, event by event."""
    parser.receive_data(REQUEST)
    assert isinstance(parser.next_event(), h11.Request)
    assert isinstance(parser.next_event(), h11.EndOfMessage)
    events = [
        h11.Response(status_code=200, headers=headers),
        *(h11.Data(data=part) for part in body),
        h11.EndOfMessage(),
    ]
    return [parser.send(event) or b"" for event in events]


@pytest.mark.parametrize("headers", [JSON, EVENTS, CHUNKED])
@pytest.mark.parametrize("body", [[b"{}"], [b"{", b"}"], [b"", b"{}"]])
def test_the_bytes_are_those_of_h11(headers: list[tuple[bytes, bytes]], body: list[bytes]) -> None:
    strict, plain = StrictParser(h11.SERVER), h11.Connection(h11.SERVER)
    for _ in range(2):  # the second on the same connection
        assert b"".join(sent(strict, headers, body)) == b"".join(sent(plain, headers, body))
        strict.start_next_cycle()
        plain.start_next_cycle()


def test_a_header_goes_with_the_first_of_its_body() -> None:
    parts = sent(StrictParser(h11.SERVER), JSON, [b"{", b"}"])
    assert parts[0] == b""
    assert parts[1].endswith(b"\r\n\r\n{")
    assert parts[2] == b"}"


def test_the_header_of_a_stream_goes_ahead() -> None:
    parts = sent(StrictParser(h11.SERVER), EVENTS, [b"data: 1\n\n"])
    assert parts[0].startswith(b"HTTP/1.1 200 ")


def test_an_answer_without_a_body_is_its_header() -> None:
    parser = StrictParser(h11.SERVER)
    parser.receive_data(b"HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert isinstance(parser.next_event(), h11.Request)
    parser.next_event()
    first = parser.send(h11.Response(status_code=200, headers=JSON))
    last = parser.send(h11.EndOfMessage())
    assert (first, (last or b"")[:13]) == (b"", b"HTTP/1.1 200 ")
