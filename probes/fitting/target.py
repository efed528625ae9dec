"""What a probe is to detect."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from probes.arrays import Bools
from probes.errors import LabelsError
from probes.fitting.readings import Table

MIN_MISTAKES = 200
"""Mistakes of a kind in the fitting part below which it gets no probe of its own."""

Tables = Mapping[str, Table]
"""By name of position."""


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

    def labels(self, table: Table) -> Bools:
        """(n,) which rows of a table are positive."""
        return table.wrong if self.kind is None else table.kind == self.kind


def targets(parts: Mapping[str, Tables], min_mistakes: int = MIN_MISTAKES) -> list[Target]:
    """What can be fitted on these tables: any mistake, late and early; each frequent kind; the answer.

    Args:
        parts: `fit`, `validation` and `calibration`.

    Raises:
        LabelsError: in some part there are no right readings, or no wrong ones.
    """
    early = "The step that has just been begun will be wrong: the first mistake."
    found = [
        Target("step_error", "The step is wrong: the first mistake of the answer.", ("end",)),
        Target("step_error_early", early, ("name",)),
        Target(
            "answer_error",
            "The answer as a whole will be wrong; read before a word of it is written.",
            ("question",),
        ),
    ]
    for target in found:
        for part, tables in parts.items():
            labels = target.labels(tables[target.positions[0]])
            if not _has_both(labels):
                raise LabelsError(
                    f"{target.name}: {int(labels.sum())} of {len(labels)} readings of the {part} part are "
                    "wrong; there must be right and wrong ones, hundreds of each for a probe worth having"
                )
    counts = Counter(parts["fit"]["end"].kind.tolist())
    kinds = [kind for kind, count in sorted(counts.items()) if kind and count >= min_mistakes]
    if len(counts) > 2:  # a single kind is no other than any mistake
        for kind in kinds:
            meaning = f"The step is the answer's first mistake, of kind {kind}."
            target = Target(kind, meaning, ("name", "end"), kind)
            if all(
                _has_both(target.labels(tables[at])) for tables in parts.values() for at in target.positions
            ):
                found.insert(-1, target)
    return found


def _has_both(labels: Bools) -> bool:
    return bool(labels.any()) and not bool(labels.all())
