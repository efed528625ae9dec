"""Requests that a proxy may read in another way than we do are refused, and the connection is closed."""

import h11
import pytest

from app.api.parser import StrictParser
from tests.app.api.server import Server
from tests.app.api.wire import HOST, get, post, talk

BODY = b'{"prompt": "How many kites?", "max_tokens": 1}'


def with_headers(*lines: bytes, body: bytes = b"", method: bytes = b"POST", version: bytes = b"1.1") -> bytes:
    start = method + b" /v1/completions HTTP/" + version + b"\r\n" + HOST
    return start + b"content-type: application/json\r\n" + b"".join(lines) + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return with_headers(b"transfer-encoding: chunked\r\n", body=body)


LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNK = b"%x\r\n" % len(BODY) + BODY + b"\r\n"

REFUSED = {
    "both": with_headers(LENGTH, b"transfer-encoding: chunked\r\n", body=CHUNK + b"0\r\n\r\n"),
    "both, other order": with_headers(b"Transfer-Encoding: chunked\r\n", LENGTH, body=CHUNK + b"0\r\n\r\n"),
    "two lengths": with_headers(LENGTH, b"content-length: 5\r\n", body=BODY),
    "two lengths in one": with_headers(b"content-length: %d, 5\r\n" % len(BODY), body=BODY),
    "length with sign": with_headers(b"content-length: +5\r\n", body=BODY),
    "negative length": with_headers(b"content-length: -5\r\n", body=BODY),
    "hexadecimal length": with_headers(b"content-length: 0x5\r\n", body=BODY),
    "length with underscore": with_headers(b"content-length: 1_0\r\n", body=BODY),
    "length in two words": with_headers(b"content-length: 1 0\r\n", body=BODY),
    "empty length": with_headers(b"content-length: \r\n", body=BODY),
    "length of 40 digits": with_headers(b"content-length: " + b"9" * 40 + b"\r\n", body=BODY),
    "unknown coding": with_headers(b"transfer-encoding: foo\r\n", body=b"0\r\n\r\n"),
    "identity": with_headers(b"transfer-encoding: identity\r\n", body=BODY),
    "chunked not last": with_headers(b"transfer-encoding: chunked, gzip\r\n", body=b"0\r\n\r\n"),
    "two codings": with_headers(b"transfer-encoding: gzip, chunked\r\n", body=b"0\r\n\r\n"),
    "coding twice": with_headers(b"transfer-encoding: chunked\r\n" * 2, body=b"0\r\n\r\n"),
    "coding behind a tab": with_headers(b"transfer-encoding: \x0bchunked\r\n", body=b"0\r\n\r\n"),
    "coding in quotes": with_headers(b'transfer-encoding: "chunked"\r\n', body=b"0\r\n\r\n"),
    "coding in HTTP/1.0": with_headers(b"transfer-encoding: chunked\r\n", version=b"1.0", body=b"0\r\n\r\n"),
    "space before the colon": with_headers(b"transfer-encoding : chunked\r\n", body=b"0\r\n\r\n"),
    "chunk of g": chunked(b"g\r\nabc\r\n0\r\n\r\n"),
    "chunk of -1": chunked(b"-1\r\nabc\r\n0\r\n\r\n"),
    "chunk of 0x1": chunked(b"0x1\r\na\r\n0\r\n\r\n"),
    "chunk of +1": chunked(b"+1\r\na\r\n0\r\n\r\n"),
    "chunk longer than it says": chunked(b"1\r\nabc\r\n0\r\n\r\n"),
    "chunk with LF in its extension": chunked(b"1;a\nb\r\na\r\n0\r\n\r\n"),
    "chunk of 30 digits": chunked(b"f" * 30 + b"\r\na\r\n0\r\n\r\n"),
    "chunk ended by LF": chunked(b"1\r\na\n0\r\n\r\n"),
    "folded header": with_headers(b"x-a: a\r\n b\r\n", LENGTH, body=BODY),
    "folded with a tab": with_headers(b"x-a: a\r\n\tb\r\n", LENGTH, body=BODY),
    "folded length": with_headers(b"content-length:\r\n %d\r\n" % len(BODY), body=BODY),
    "LF alone": with_headers(b"x-a: a\n", LENGTH, body=BODY),
    "LF alone everywhere": with_headers(LENGTH, body=BODY).replace(b"\r\n", b"\n"),
    "LF at the end": with_headers(LENGTH)[:-2] + b"\n" + BODY,
    "CR in a value": with_headers(b"x-a: a\rb\r\n", LENGTH, body=BODY),
    "CR CR LF": with_headers(b"x-a: a\r\r\n", LENGTH, body=BODY),
    "CR before a name": with_headers(b"\rx-a: a\r\n", LENGTH, body=BODY),
    "NUL in a value": with_headers(b"x-a: a\x00b\r\n", LENGTH, body=BODY),
    "NUL in a name": with_headers(b"x\x00a: a\r\n", LENGTH, body=BODY),
    "DEL in a value": with_headers(b"x-a: a\x7fb\r\n", LENGTH, body=BODY),
    "no colon": with_headers(b"xa\r\n", LENGTH, body=BODY),
    "no name": with_headers(b": a\r\n", LENGTH, body=BODY),
    "name with a space": with_headers(b"x a: a\r\n", LENGTH, body=BODY),
    "space before the first header": get("/health/live").replace(b"host", b" host", 1),
    "no host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "two hosts": get("/health/live", b"host: localhost"),
    "version 1.2": get("/health/live").replace(b"1.1", b"1.2"),
    "version 2.0": get("/health/live").replace(b"1.1", b"2.0"),
    "version 0.9": b"GET /health/live\r\n\r\n",
    "tabs in the request line": get("/health/live").replace(b" ", b"\t", 2),
    "two spaces in the request line": get("/health/live").replace(b" ", b"  ", 1),
    "space behind the version": get("/health/live").replace(b"1.1", b"1.1 "),
    "high byte in the target": get("/health/live").replace(b"live", b"liv\xff"),
    "NUL in the target": get("/health/live").replace(b"live", b"liv\x00"),
    "no method": get("/health/live").removeprefix(b"GET"),
    "method with a colon": get("/health/live").replace(b"GET", b"G:T"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 40 + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "header of 100 kB": get("/health/live", b"x-a: " + b"a" * 100_000),
    "10,000 headers": get("/health/live", *[b"x-a: a"] * 10_000),
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
def test_what_can_be_read_in_two_ways_is_refused_and_closed(server: Server, request_bytes: bytes) -> None:
    heard = talk(server.url, request_bytes + get("/health/live"))
    assert heard.closed
    assert len(heard.statuses) == 1, heard
    assert heard.statuses[0] in (400, 431, 501, 505)
    assert heard.error["code"] == "invalid_http"
    assert heard.error["type"] in ("invalid_request_error", "server_error")


ACCEPTED = {
    "length": with_headers(LENGTH, body=BODY),
    "the same length twice": with_headers(LENGTH, LENGTH, body=BODY),
    "one chunk": chunked(CHUNK + b"0\r\n\r\n"),
    "small chunks": chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
    "chunk with an extension": chunked(CHUNK.replace(b"\r\n", b";a=b\r\n", 1) + b"0\r\n\r\n"),
    "trailers": chunked(CHUNK + b"0\r\nx-a: b\r\n\r\n"),
    "CHUNKED": with_headers(b"Transfer-Encoding: CHUNKED\r\n", body=CHUNK + b"0\r\n\r\n"),
    "tabs around a value": with_headers(b"x-a:\t a \t\r\n", LENGTH, body=BODY),
    "Latin-1 in a value": with_headers(b"x-a: \xe9\r\n", LENGTH, body=BODY),
    "line ends in the body": post("/v1/completions", b"\r\n\n\r\r\n " + BODY + b"\n \x20\n\n"),
}


@pytest.mark.parametrize("request_bytes", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_has_one_meaning_is_served_and_the_next_request_too(
    server: Server, request_bytes: bytes
) -> None:
    last = get("/health/live", b"connection: close")
    heard = talk(server.url, request_bytes + last)
    assert heard.statuses == [200, 200]
    assert heard.closed


def test_a_request_that_comes_byte_by_byte_is_judged_alike() -> None:
    for name, request_bytes in (REFUSED | ACCEPTED).items():
        seen: list[bool] = []
        for step in (1, 7, len(request_bytes)):
            parser = StrictParser(h11.SERVER)
            try:
                for start in range(0, len(request_bytes), step):
                    parser.receive_data(request_bytes[start : start + step])
                    while isinstance(parser.next_event(), h11.Event):
                        pass
            except h11.RemoteProtocolError:
                seen.append(False)
            else:
                seen.append(True)
        assert seen == [name in ACCEPTED] * 3, name


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://localhost/health/live", b"localhost", 200),
        (b"HTTP://LOCALHOST:80/health/live?a=b", b"localhost", 200),
        (b"https://127.0.0.1/health/live", b"elsewhere.example", 200),  # the host in the target counts
        (b"http://elsewhere.example/health/live", b"localhost", 421),
        (b"http://localhost", b"localhost", 200),
        (b"http://localhost?a=b", b"localhost", 200),
        (b"http://localhost/nowhere", b"localhost", 404),
        (b"http:///health/live", b"localhost", 404),
        (b"http://user@localhost/health/live", b"localhost", 404),
        (b"ftp://localhost/health/live", b"localhost", 404),
    ],
)
def test_a_target_may_name_the_host_too(server: Server, target: bytes, host: bytes, status: int) -> None:
    heard = talk(
        server.url, b"GET " + target + b" HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n\r\n"
    )
    assert heard.statuses == [status]


@pytest.mark.parametrize("target", [b"*", b"http://localhost"])
def test_a_server_tells_the_methods_that_it_has_anywhere(server: Server, target: bytes) -> None:
    heard = talk(server.url, b"OPTIONS " + target + b" HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")
    assert heard.statuses == [204]
    assert b"allow: GET, HEAD, POST, DELETE, OPTIONS\r\n" in heard.data
