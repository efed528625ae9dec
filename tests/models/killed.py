"""Kills a function at a given line of its execution, to see what it leaves behind."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import models

_PACKAGES = (str(Path(models.__file__).parent),)


class Killed(BaseException):
    """Stands for SIGKILL: no `except Exception` sees it."""


def run_until(line: int, function: Callable[[], object], packages: tuple[str, ...] = _PACKAGES) -> int:
    """Run a function up to a given number of lines of `models`; how many of them were executed.

    packages: the folders whose lines count, if others than `models`.
    """
    executed = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal executed
        if not frame.f_code.co_filename.startswith(packages):
            return None
        if event == "line":
            if executed == line:
                raise Killed
            executed += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except Killed:
        pass
    finally:
        sys.settrace(before)
    return executed


def lines_of(function: Callable[[], object], packages: tuple[str, ...] = _PACKAGES) -> int:
    """How many lines of `models`, or other packages, a function executes."""
    return run_until(sys.maxsize, function, packages)
