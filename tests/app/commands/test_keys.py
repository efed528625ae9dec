"""`demur keys`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.api.keys import hash_of, read_keys
from app.cli import app


def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    result = CliRunner(env=environment).invoke(app, ["keys", *arguments])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_a_key_is_printed_once_listed_by_name_and_revoked(tmp_path: Path) -> None:
    path = tmp_path / "below" / "keys.json"
    flags = ("--file", str(path))
    code, printed, told = run("add", "alice", *flags, "--requests-per-minute", "60", "--concurrent", "4")
    assert code == 0
    secret = printed.strip()
    assert secret.startswith("demur-")
    assert len(secret) > 40
    assert "the only time" in told
    (kept,) = read_keys(path).keys
    assert kept.sha256 == hash_of(secret.encode())
    assert (kept.limits.requests_per_minute, kept.limits.tokens_per_minute, kept.limits.concurrent) == (
        60,
        None,
        4,
    )
    code, printed, _ = run("list", DEMUR_API_KEYS=str(path), COLUMNS="200")
    assert code == 0
    assert "alice" in printed
    assert "no limit" in printed
    assert secret not in printed
    code, _, told = run("add", "alice", *flags)
    assert code == 2
    assert "has a key 'alice' already" in told
    assert run("revoke", "alice", *flags)[0] == 0
    assert read_keys(path).keys == ()
    code, _, told = run("revoke", "alice", *flags)
    assert code == 2
    assert "has no key 'alice'; there are: none" in told


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert run("revoke", "a", "--file", str(path))[2] == f"Error: there is no file {path}"
    assert run("add", "a b", "--file", str(path))[0] == 2
    assert not path.exists()
    assert run("add", "a", "--file", str(path), "--concurrent", "0")[0] == 2
    path.write_text("{}x")
    for command in (("list",), ("add", "a"), ("revoke", "a")):
        code, _, told = run(*command, "--file", str(path))
        assert code == 2
        assert "is no list of keys" in told
    assert path.read_text() == "{}x"


def test_names_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    for name in ("alice", "albert", "bob"):
        run("add", name, "--file", str(path))
    monkeypatch.setenv("DEMUR_API_KEYS", str(path))
    words = {"_DEMUR_COMPLETE": "complete_bash", "COMP_WORDS": "demur keys revoke al", "COMP_CWORD": "3"}
    result = CliRunner(env=words).invoke(app, prog_name="demur")
    assert set(result.stdout.split()) == {"alice", "albert"}
