"""What a probe is to detect."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from probes.arrays import Bools
from probes.errors import LabelsError
from probes.fitting.labels import Part
from probes.fitting.readings import Table
from probes.fitting.sizes import shortage

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


@dataclass(frozen=True)
class Fittable:
    """What can be fitted. refused: why not, by name of the targets that cannot be."""

    targets: tuple[Target, ...]
    refused: Mapping[str, str]


def targets(parts: Mapping[Part, Tables], min_mistakes: int = MIN_MISTAKES) -> Fittable:
    """What can be fitted on these tables: any mistake, late and early; each frequent kind; the answer.

    Args:
        parts: `fit`, `validation` and `calibration`.

    Raises:
        LabelsError: nothing can be fitted.
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
    found = [each for each in found if each.positions[0] in parts["fit"]]
    refused = {target.name: why for target in found if (why := _shortage(target, parts)) is not None}
    counts = Counter(parts["fit"]["end"].kind.tolist() if "end" in parts["fit"] else ())
    kinds = [kind for kind, count in sorted(counts.items()) if kind and count >= min_mistakes]
    if len(counts) > 2:  # a single kind is no other than any mistake
        for kind in kinds:
            meaning = f"The step is the answer's first mistake, of kind {kind}."
            at = tuple(name for name in ("name", "end") if name in parts["fit"])
            target = Target(kind, meaning, at, kind)
            if _shortage(target, parts) is None:
                found.insert(-1, target)
    if len(refused) == len(found):
        reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise LabelsError(f"there are too few labels to fit a probe on. {reasons}")
    return Fittable(tuple(each for each in found if each.name not in refused), refused)


def _shortage(target: Target, parts: Mapping[Part, Tables]) -> str | None:
    """Why a part is too small for a target, the first one that is."""
    for part, tables in parts.items():
        for name in target.positions:
            table = tables[name]
            if (why := shortage(part, target.labels(table), table.group)) is not None:
                return why
    return None
