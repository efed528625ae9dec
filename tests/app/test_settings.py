"""Settings from the environment and from flags."""

import re
from pathlib import Path

import pytest

from app.settings import EMBEDDED_CHECKPOINT, Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing set from outside."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DEMUR_{name.upper()}", raising=False)


def test_defaults_serve_the_embedded_checkpoint_to_this_machine_only() -> None:
    settings = load_settings()
    assert settings.checkpoint == EMBEDDED_CHECKPOINT
    assert EMBEDDED_CHECKPOINT.parts[-3:] == ("models", "checkpoints", "igsm")
    assert settings.host == "127.0.0.1"
    assert settings.port == 8000
    assert settings.cors_origins == ()
    assert settings.api_key is None


def test_the_environment_wins_over_defaults_and_flags_win_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMUR_PORT", "9000")
    monkeypatch.setenv("DEMUR_CHECKPOINT", "/somewhere")
    monkeypatch.setenv("DEMUR_CORS_ORIGINS", "https://a.example, https://b.example,")
    monkeypatch.setenv("DEMUR_API_KEY", "secret")
    settings = load_settings({"port": 9001, "host": None})
    assert settings.port == 9001
    assert settings.host == "127.0.0.1"
    assert settings.checkpoint == Path("/somewhere")
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "secret"
    assert "secret" not in repr(settings)


def test_probes_come_with_the_checkpoint_unless_others_or_none_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.settings.EMBEDDED_PROBES", tmp_path)
    assert load_settings().probes_folder is None
    (tmp_path / "igsm").mkdir()
    assert load_settings().probes_folder == tmp_path / "igsm"
    assert load_settings({"checkpoint": Path("/elsewhere/other")}).probes_folder is None
    assert load_settings({"probes": Path("/mine")}).probes_folder == Path("/mine")
    monkeypatch.setenv("DEMUR_NO_PROBES", "1")
    assert load_settings({"probes": Path("/mine")}).probes_folder is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "abc", "DEMUR_PORT is 'abc'"),
        ("PORT", "70000", "0 to 65535"),
        ("PORT", "tcp://10.0.0.1:8000", "DEMUR_PORT is 'tcp://10.0.0.1:8000'"),
        ("MAX_ROWS", "0", "1 to 4096"),
        ("MAX_WAITING", "0", "1 or more"),
        ("MAX_QUEUE_SECONDS", "0", "0.1 to 86400"),
        ("REQUEST_TIMEOUT_SECONDS", "nan", "0.1 to 86400"),
        ("REQUEST_TIMEOUT_SECONDS", "90000", "0.1 to 86400"),
        ("MAX_REQUEST_CHOICES", "0", "1 to 65536"),
        ("DEVICE", "gpu", "cpu, mps, cuda, cuda:N, or auto"),
        ("LOG_LEVEL", "loud", "debug"),
        ("API_KEY", "", "DEMUR_API_KEY is empty"),
        ("MAX_BODY_BYTES", "10", "1024 or more"),
        ("DEFAULT_MAX_TOKENS", "0", "1 or more"),
    ],
)
def test_a_bad_variable_is_named_with_its_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"DEMUR_{name}", value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert f"DEMUR_{name}" in str(raised.value)
    assert says in str(raised.value)


def test_a_bad_flag_is_named_as_the_flag() -> None:
    with pytest.raises(SettingsError, match="--max-rows is -1"):
        load_settings({"max_rows": -1})


def test_every_bad_value_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMUR_PORT", "x")
    monkeypatch.setenv("DEMUR_MAX_ROWS", "y")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert len(str(raised.value).splitlines()) == 2


def test_probes_that_would_be_of_no_model_are_refused(tmp_path: Path) -> None:
    given = {"model": ("a=/models/a",), "probes": tmp_path}
    with pytest.raises(SettingsError, match=f"model_probes, such as a={tmp_path}"):
        load_settings(given)
    first, second = load_settings({**given, "checkpoint": Path("/models/b")}).sources
    assert (first.name, first.probes, second.probes) == ("b", tmp_path, None)


def test_the_page_of_limits_has_the_settings_own_defaults() -> None:
    page = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", page, re.MULTILINE)
    assert len(rows) > 10
    for name, told in rows:
        default = Settings.model_fields[name].default
        assert told == (
            "none" if default in ((), None) else f"{default:g}" if default < 1e6 else str(default)
        ), name
