"""How lines of the log are written."""

import json
import logging
import logging.config

import pytest

from app.commands.logs import LOGGERS, logging_config


@pytest.fixture(autouse=True)
def as_it_was() -> object:
    """Give loggers back what they had: their configuration is that of the process."""
    loggers = [logging.getLogger(name) for name in (None, *LOGGERS)]
    before = [(each, each.level, each.handlers[:], each.propagate) for each in loggers]
    yield
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate


def write(format: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of three messages."""
    logging.config.dictConfig(logging_config("info", format))
    log = logging.getLogger("app.requests")
    log.info("request", extra={"request_id": "r-1", "kept_tokens": 3, "says": 'a "b"\nc'})
    log.debug("not told")
    logging.getLogger("uvicorn.error").info("up", extra={"color_message": "\x1b[1mup"})
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError:
        log.exception("request %s failed", "r-2")
    return capsys.readouterr().err.splitlines()


def test_json_is_an_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = map(json.loads, write("json", capsys))
    assert {name: first[name] for name in ("event", "level", "request_id", "kept_tokens", "says")} == {
        "event": "request",
        "level": "info",
        "request_id": "r-1",
        "kept_tokens": 3,
        "says": 'a "b"\nc',
    }
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["logger"]) == ("up", "uvicorn.error")
    assert third["event"] == "request r-2 failed"
    assert "by nothing" in third["exception"]


def test_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    lines = write("console", capsys)
    assert "request " in lines[0]
    assert "kept_tokens=3" in lines[0]
    assert "request_id=r-1" in lines[0]
    assert "\\n" in lines[0], "a line break of somebody else's begins no line of the log"
    assert not any("\x1b" in line for line in lines), "this is no terminal"
    assert lines[-1] == "ZeroDivisionError: by nothing"
