"""Options that several commands have: which model, which probes, and where it runs."""

from pathlib import Path
from typing import Annotated

import typer

CheckpointOption = Annotated[
    Path | None, typer.Option(help="Folder of the checkpoint, or a GGUF file.  [default: the embedded one]")
]
ProbesOption = Annotated[
    Path | None,
    typer.Option(help="Folder of probes fitted on it.  [default: the embedded ones of its name]"),
]
NoProbesOption = Annotated[bool, typer.Option("--no-probes", help="Load no probes.")]
DeviceOption = Annotated[
    str | None, typer.Option(help="Where the model runs: cpu, mps, cuda or cuda:N.  [default: cpu]")
]
MaxRowsOption = Annotated[
    int | None, typer.Option(help="Sequences that decode at the same time.  [default: 32]")
]

MANY = 1_000_000_000
"""Most problems that can be asked for: an iterator cannot count to just any number."""


def from_shell(text: str) -> str:
    """A text of the command line, in which bytes that are not UTF-8 are replaced."""
    return text.encode("utf-8", "replace").decode()


def require_device(name: str) -> str:
    """The device, if this machine has it.

    Raises:
        ParameterError: it has not.
    """
    import torch

    from app.errors import ParameterError

    kind, _, number = name.partition(":")
    count = {"cpu": 1, "mps": int(torch.backends.mps.is_available()), "cuda": torch.cuda.device_count()}
    there = count.get(kind, 0)
    if (number and kind != "cuda") or not (number or "0").isdecimal() or int(number or 0) >= there:
        usable = [each for each, found in count.items() if found]
        raise ParameterError(
            f"--device is {name!r}; this machine has {', '.join(usable)}"
            f"{f' (cuda:0 to cuda:{there - 1})' if kind == 'cuda' and there else ''}.",
            param="device",
        )
    return name
