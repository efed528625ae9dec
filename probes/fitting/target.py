"""What a probe is to detect."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.fitting.readings import Table


@dataclass(frozen=True)
class Target:
    """A probe's positive class.

    Attributes:
        meaning: what a positive is, in one sentence.
        positions: names of the positions at which it may be read.
        kind: a kind of mistake; None for any.
    """

    name: str
    meaning: str
    positions: tuple[str, ...]
    kind: str | None = None

    def labels(self, table: Table) -> NDArray[np.bool_]:
        """(n,) which rows of a table are positive."""
        return table.wrong if self.kind is None else table.kind == self.kind
