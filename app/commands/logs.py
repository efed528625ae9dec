"""How the service's log is written: lines for people, or an object per line for a program."""

import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LOGGERS = ("app", "models", "uvicorn")
"""Whose messages are written at the level that was asked for; of others only warnings."""

_COLUMN = 30  # of an event in a console line, before its fields


def logging_config(level: str, format: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`, and uvicorn's `log_config`: everything goes to standard error.

    Messages are plain ones of `logging`; the fields of a line are its `extra`.
    """
    formatter: dict[str, Any] = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_writing(format)],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}
        },
        "loggers": {
            name: {"handlers": ["stderr"], "level": level.upper(), "propagate": False} for name in LOGGERS
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }


def _writing(format: str) -> list[Processor]:
    if format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [
        _without_what_says_nothing,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=_COLUMN,
        ),
    ]


def _without_what_says_nothing(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The logger's name, by which a program filters, and the message again in colours, from uvicorn."""
    event.pop("logger", None)
    event.pop("color_message", None)
    return event
