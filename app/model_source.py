"""Where a model that is served comes from."""

import re
from dataclasses import dataclass
from pathlib import Path

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from. name: what requests call it. probes: None for none."""

    name: str
    checkpoint: Path
    probes: Path | None


def named_folder(given: str) -> tuple[str, Path]:
    """The name and the folder of `NAME=FOLDER`."""
    name, equals, folder = given.partition("=")
    if not equals or not folder or not _MODEL_NAME.fullmatch(name):
        raise ValueError(
            f"{given!r} is not NAME=FOLDER, with a name of at most 128 letters, digits and ._:/- of ASCII"
        )
    return name, Path(folder)
