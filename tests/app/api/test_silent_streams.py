"""A stream whose first token comes late: whether its client is there still is found out before that."""

import json
import re

from tests.app.api.server import Server
from tests.app.api.test_connections import COMPLETIONS, LATER, completion, open_and_send
from tests.app.api.test_streaming import metric, wait_for_metric
from tests.app.api.wire import post, talk

ENDED_AND_DRAWN = ("requests_cancelled", "generated_tokens")


def test_a_client_that_leaves_a_silent_stream_is_noticed(server: Server) -> None:
    silent = {"kind": "self_consistency", "samples": 256, "stop": "never"}  # its first token comes at the end
    request = completion(stream=True, n=8, max_tokens=110, ignore_eos=True, strategy=silent)
    cancelled, drawn = (metric(server.url, f"demur_{name}_total") for name in ENDED_AND_DRAWN)
    (sock,) = open_and_send(server.url, post(COMPLETIONS, request))
    with sock:
        assert b" 200 OK" in sock.recv(4096)
    wait_for_metric(server.url, "demur_requests_cancelled_total", cancelled + 1)
    assert metric(server.url, "demur_generated_tokens_total") - drawn < 8 * 256 * 110


def test_who_sends_no_more_to_a_silent_stream_hears_comments_and_all_of_it(server: Server) -> None:
    silent = {"kind": "self_consistency", "samples": 12, "stop": "never"}
    request = post(
        COMPLETIONS, completion(stream=True, max_tokens=110, ignore_eos=True, seed=1, strategy=silent)
    )
    usual = talk(server.url, request.replace(b"\r\n", b"\r\nconnection: close\r\n", 1), seconds=LATER)
    heard = talk(server.url, request, half_close=True, seconds=LATER)
    assert heard.closed
    assert events_of(heard.data) == events_of(usual.data)


def events_of(data: bytes) -> list[str]:
    """The texts of a stream's events; what is new in each answer, such as its id, left out."""
    found = re.findall(rb"^data: (\{.*\})", data, re.MULTILINE)
    return ["".join(choice["text"] for choice in json.loads(event)["choices"]) for event in found]
