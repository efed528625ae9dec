"""Named API keys: where they come from, when they are read again, and what they open."""

import asyncio
import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app.api.key_gate import KeyGate
from app.api.key_ring import KeyRing
from app.api.keys import ApiKey, KeyLimits, KeyList, KeysError, change_keys, hash_of, new_key, read_keys
from app.api.metrics import Metrics
from app.api.middleware import RequestContext
from app.api.request_record import RequestRecord
from app.settings import Settings, SettingsError, load_settings
from tests.app.api.server import server_here


@dataclass
class Clock:
    """A time that stands still until it is told."""

    now: float = 1_000_000_030.0  # ten seconds after a minute began

    def __call__(self) -> float:
        return self.now


def key(name: str = "alice", secret: str = "s1", **limits: int) -> ApiKey:
    return ApiKey(name=name, sha256=hash_of(secret.encode()), limits=KeyLimits.model_validate(limits))


def write(path: Path, *keys: ApiKey) -> None:
    change_keys(path, lambda _: KeyList(keys=keys))


def test_only_the_hash_of_a_new_key_is_kept_and_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    secret, kept = new_key("alice", KeyLimits(requests_per_minute=3))
    write(path, kept)
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(path).keys[0].sha256 == hash_of(secret.encode())
    path.chmod(0o640)
    write(path, kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert new_key("alice", KeyLimits())[0] != secret


@pytest.mark.parametrize("name", ["", "a b", "-a", "a\n", "ä", "a" * 65])
def test_a_name_is_letters_digits_and_a_few_signs(name: str) -> None:
    with pytest.raises(KeysError, match="cannot be the name of a key"):
        new_key(name, KeyLimits())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "is no list of keys"),
        (b"[]", "is no list of keys"),
        (b'{"key": []}', "key: Extra inputs"),
        (b'{"keys": [{"name": "a"}]}', r"keys\.0\.sha256: Field required"),
        (b'{"keys": [{"name": "a", "sha256": "secret"}]}', r"keys\.0\.sha256"),
        (json.dumps({"keys": [vars(key()) | {"limits": {"concurrent": 0}}]}).encode(), "concurrent"),
        (json.dumps({"keys": [vars(key()) | {"limits": {}}] * 2}).encode(), "two keys have the name 'alice'"),
        (
            json.dumps({"keys": [vars(key(name, "s")) | {"limits": {}} for name in ("a", "b")]}).encode(),
            "the keys 'a' and 'b' have the same sha256",
        ),
        (b" " * (2**20 + 1), "at most 1048576"),
    ],
)
def test_a_file_that_holds_something_else_is_named_with_what_is_wrong(
    tmp_path: Path, text: bytes, says: str
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(text)
    with pytest.raises(KeysError, match=says) as raised:
        read_keys(path)
    assert str(path) in str(raised.value)
    assert "secret" not in str(raised.value)
    assert hash_of(b"s") not in str(raised.value)


def test_a_file_is_read_again_when_it_changes_and_not_asked_more_than_once_a_second(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys.json", Clock()
    write(path, key())
    ring = KeyRing(KeyList(), path, clock)
    assert ring.find(b"s1") == key()
    write(path, key(), key("bob", "s2"))
    assert ring.find(b"s2") is None  # within the same second
    clock.now += 1
    assert ring.find(b"s2") == key("bob", "s2")
    write(path, key("bob", "s2"))
    clock.now += 1
    assert ring.find(b"s1") is None


def spoil(path: Path) -> None:
    path.write_text("{")


@pytest.mark.parametrize("damage", [Path.unlink, spoil])
def test_a_file_that_cannot_be_read_any_more_leaves_the_keys_as_they_were(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "keys.json", Clock()
    write(path, key())
    ring = KeyRing(KeyList(), path, clock)
    damage(path)
    for _ in range(3):
        clock.now += 1
        assert ring.find(b"s1") is not None
    assert caplog.text.count("the API keys stay as they were") == 1
    path.unlink(missing_ok=True)
    write(path, key("bob", "s2"))
    clock.now += 1
    assert ring.find(b"s1") is None
    assert ring.find(b"s2") is not None


def test_keys_come_from_the_settings_too(tmp_path: Path) -> None:
    assert KeyRing.of(Settings()) is None
    path = tmp_path / "keys.json"
    write(path, key())
    also = KeyList(keys=(key("bob", "s2"),)).model_dump_json()
    given = {"api_key": "s3", "api_keys": path, "api_keys_json": also}
    ring = KeyRing.of(load_settings(given))
    assert ring is not None
    found = [ring.find(each) for each in (b"s1", b"s2", b"s3", b"s4")]
    assert [each and each.name for each in found] == ["alice", "bob", "api-key", None]
    for clash in (key("bob", "other"), key("other", "s3")):
        write(path, clash)
        with pytest.raises(KeysError, match="given twice"):
            KeyRing.of(load_settings(given))
    with pytest.raises(KeysError, match="cannot read"):
        KeyRing.of(load_settings({"api_keys": tmp_path / "none.json"}))


def test_a_file_without_keys_lets_nobody_in(tmp_path: Path) -> None:
    write(tmp_path / "keys.json")
    ring = KeyRing.of(load_settings({"api_keys": tmp_path / "keys.json"}))
    assert ring is not None
    assert ring.find(b"") is None


def test_nothing_is_protected_without_a_key() -> None:
    for what in ("protect_metrics", "protect_docs"):
        with pytest.raises(SettingsError, match="there is no API key"):
            load_settings({what: True})


def test_a_request_ends_for_its_limits_however_it_ends() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError

    async def talk() -> list[int]:
        gate = KeyGate(fail, KeyRing(KeyList(keys=(key(concurrent=1),))), frozenset())
        statuses: list[int] = []

        async def send(message: Message) -> None:
            statuses.append(message.get("status", 0))

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        for _ in range(2):
            scope: Scope = {
                "type": "http",
                "path": "/v1/models",
                "headers": [(b"authorization", b"Bearer s1")],
                "state": {"record": RequestRecord("r")},
            }
            with pytest.raises(ZeroDivisionError):
                await gate(scope, receive, send)
        return statuses

    assert asyncio.run(talk()) == []


@pytest.mark.parametrize("root", ["", "/api", "/v1", "/api/"])
def test_a_path_that_all_of_the_server_is_below_opens_no_door(root: str) -> None:
    async def tell(_: Request) -> Response:
        return Response("secret")

    routed = Starlette(routes=[Route(path, tell) for path in ("/v1/models", "/metrics", "/health/live")])
    gate = KeyGate(routed, KeyRing(KeyList(keys=(key(),))), frozenset({"/metrics"}))
    whole = RequestContext(gate, Metrics())
    mounted = Starlette(routes=[Mount(root.rstrip("/"), whole)])
    for app, root_path in ((whole, root), (mounted, "")):
        http = TestClient(app, root_path=root_path)
        for path, status in (("/v1/models", 401), ("/metrics", 401), ("/health/live", 200)):
            assert http.get(root + path if app is whole else root.rstrip("/") + path).status_code == status
        shown = {"authorization": "Bearer s1"}
        assert http.get(root.rstrip("/") + "/v1/models", headers=shown).status_code in (200, 404)


def test_a_server_with_keys(
    checkpoint_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    write(path, key(requests_per_minute=2), key("bob", "s2", tokens_per_minute=5))
    body = {"prompt": "How many kites?", "max_tokens": 4, "ignore_eos": True}

    def ask(http: httpx2.Client, secret: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {secret}", "x-request-id": f"from-{secret}"}
        return http.post("/v1/completions", json=body, headers=headers)

    with (
        caplog.at_level("INFO", logger="app.requests"),
        server_here(checkpoint_folder, api_keys=path, protect_metrics=True, protect_docs=True) as running,
        httpx2.Client(base_url=running.url, timeout=60) as http,
    ):
        for route in ("/metrics", "/docs", "/docs/", "/openapi.json", "/v1/models"):
            assert http.get(route).status_code == 401, route
        assert http.get("/health/ready").status_code == 200
        assert http.get("/metrics", headers={"authorization": "Bearer s1"}).status_code == 200
        assert [ask(http, "s1").status_code for _ in range(3)] == [200, 200, 429]
        refused = ask(http, "s1")
        error = refused.json()["error"]
        assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert refused.headers["x-request-id"] == "from-s1"
        assert [ask(http, "s2").status_code for _ in range(2)] == [200, 429]  # 4 of the prompt, 4 written
    # The server has ended, so all lines are there.
    lines = [vars(record) for record in caplog.records if record.name == "app.requests"]
    done = next(line for line in lines if line["status"] == 200 and line["route"] == "/v1/completions")
    assert (done["key"], done["model"], done["strategy"], done["outcome"]) == (
        "alice",
        "tiny",
        "sample",
        "ok",
    )
    assert done["kept_tokens"] == 4
    assert done["request_id"] == "from-s1"
    limited = next(line for line in lines if line["status"] == 429)
    assert (limited["key"], limited["error"]) == ("alice", "rate_limit_exceeded")
