"""Options that several commands have: which model, which probes, and where it runs."""

from pathlib import Path
from typing import Annotated

import typer

CheckpointOption = Annotated[
    Path | None, typer.Option(help="Folder of the checkpoint.  [default: the embedded one]")
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
