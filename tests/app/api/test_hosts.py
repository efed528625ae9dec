"""A page of somebody else's reaches this server through nobody's browser."""

import ipaddress
import re
import socket
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.hosts import names_of, refusal
from app.settings import Settings, SettingsError, load_settings
from tests.app.api.server import Server, running_server
from tests.app.api.wire import talk

OWN = names_of(Settings())


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "LocalHost.:80",
        "demur.localhost",
        "127.0.0.1:8000",
        "127.8.8.8",
        "192.168.1.7:8000",
        "[::1]:8000",
        "[fe80::1]",
        "[::ffff:127.0.0.1]",
        socket.gethostname(),
    ],
)
def test_this_machine_by_its_own_names_and_any_address(host: str) -> None:
    assert refusal(host, OWN) is None


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil",
            "",
        ),
        *(":8000", "1.2.3", "0x7f000001", "2130706433", "127.1", "[evil]", "256.0.0.1", "xn--lcalhost-4ya"),
        *("notlocalhost", "localhost.example"),
    ],
)
def test_a_name_of_somebody_else_is_refused_and_the_setting_named(host: str) -> None:
    error = refusal(host, OWN)
    assert error is not None
    if error.status == 421:
        assert error.envelope.error.code == "host_not_allowed"
        assert "DEMUR_ALLOWED_HOSTS" in error.envelope.error.message
    else:
        assert (error.status, error.envelope.error.code) == (400, "invalid_host")
    assert host in error.envelope.error.message


@pytest.mark.parametrize(
    "host",
    ["a b", "localhost/x", "user@localhost", "localhost:8000:1", "localhost:http", "[::1", "a,localhost"],
)
def test_what_is_no_host_is_said_to_be_none(host: str) -> None:
    error = refusal(host, [*OWN, "*"])
    assert error is not None
    assert (error.status, error.envelope.error.code) == (400, "invalid_host")


@given(st.ip_addresses(), st.integers(0, 65535))
def test_any_address_may_stand_there(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    shown = f"[{address}]" if address.version == 6 else str(address)
    assert refusal(shown, OWN) is None
    assert refusal(f"{shown}:{port}", OWN) is None


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


PARTS = st.sampled_from(
    ["localhost", "LOCALHOST", "127.0.0.1", "127", "0", "[::1]", "evil", ".", ":", ":80", "x"]
)


@given(st.text(max_size=30) | st.lists(PARTS, max_size=5).map("".join))
def test_no_text_but_a_name_or_an_address_of_ours_gets_in(host: str) -> None:
    if refusal(host, OWN) is None:
        name = re.sub(r":\d*$", "", host.strip()).lower().rstrip(".")
        own = {"localhost", socket.gethostname().lower()}
        assert name in own or name.endswith(".localhost") or is_address(name)


def test_more_names_are_allowed_by_the_setting() -> None:
    names = names_of(load_settings({"allowed_hosts": "Demur.Example.org, *.lab.example", "host": "box.lan"}))
    for host in (
        "demur.example.org",
        "DEMUR.example.org:443",
        "a.lab.example",
        "a.b.lab.example",
        "box.lan:1",
    ):
        assert refusal(host, names) is None
    for host in ("lab.example", "evillab.example", "x.demur.example.org", "example.org"):
        assert refusal(host, names) is not None
    assert refusal("any.thing", names_of(load_settings({"allowed_hosts": "*"}))) is None


@pytest.mark.parametrize(
    "value", ["https://a.example", "a.example:80", "a/b", "*a.example", "a..b", "*.*", "a b"]
)
def test_an_entry_that_is_no_name_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match="--allowed-hosts") as raised:
        load_settings({"allowed_hosts": value})
    assert value in str(raised.value)


@pytest.fixture(scope="module")
def wide_server(checkpoint_folder: Path) -> Generator[Server]:
    """A server as it runs in a container: on every interface."""
    with running_server(
        checkpoint_folder, ["--host", "0.0.0.0", "--allowed-hosts", "demur.example"]
    ) as running:
        yield running


def test_every_route_of_a_server_checks_the_host(wide_server: Server) -> None:
    url = wide_server.url.replace("0.0.0.0", "127.0.0.1")
    for host in ("localhost:8000", "127.0.0.1:8000", "172.17.0.2:8000", "demur.example"):
        for route in ("/health/ready", "/v1/models", "/", "/metrics"):
            assert httpx2.get(url + route, headers={"host": host}).status_code == 200
    for route in ("/health/ready", "/v1/models", "/", "/metrics", "/docs", "/nothing", "/web/js/main.js"):
        refused = httpx2.get(
            url + route, headers={"host": "rebound.example:8000", "origin": "http://x.example"}
        )
        assert refused.status_code == 421
        assert refused.json()["error"]["code"] == "host_not_allowed"
        assert refused.json()["error"]["param"] == "host"
        assert "rebound.example" in refused.json()["error"]["message"]
        assert refused.headers["x-request-id"]


def test_http_1_0_may_name_no_host(server: Server) -> None:
    assert talk(server.url, b"GET /health/ready HTTP/1.0\r\n\r\n").statuses == [200]
