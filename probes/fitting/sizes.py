"""Whether there are enough labels to fit on, and to say anything."""

from collections.abc import Mapping
from math import sqrt

import numpy as np

from probes.arrays import Bools, Ints
from probes.fitting.labels import Part

LEAST: Mapping[Part, int] = {"fit": 10, "validation": 3, "calibration": 3, "test": 10}
"""Problems with a positive reading, and problems with a negative one, below which a part is refused."""

WIDE = 0.15
"""Half of a 95% interval of the AUROC from which on it says little: chance and a good probe are 0.3 apart."""

_TYPICAL = 0.75


def problems_of_each(labels: Bools, groups: Ints) -> tuple[int, int]:
    """How many problems have a positive reading, and how many a negative one.

    Args:
        labels, groups: (n,).
    """
    return len(np.unique(groups[labels])), len(np.unique(groups[~labels]))


def shortage(part: Part, labels: Bools, groups: Ints) -> str | None:
    """Why a part is too small to be used for a target; None if it is not."""
    positives, negatives = problems_of_each(labels, groups)
    least = LEAST[part]
    if positives >= least and negatives >= least:
        return None
    return (
        f"{positives} problems of the {part} part have a wrong reading and {negatives} a right one; it takes "
        f"{least} of each, and hundreds for a probe worth having"
    )


def caution(part: Part, labels: Bools, groups: Ints) -> str | None:
    """That a part is too small to say much; None if it is not."""
    positives, negatives = problems_of_each(labels, groups)
    half = half_width(positives, negatives)
    if half <= WIDE:
        return None
    return (
        f"the {part} part has wrong readings in {positives} problems and right ones in {negatives}: an AUROC "
        f"of {_TYPICAL} there would be uncertain by {half:.2f} either way, so it says little"
    )


def half_width(positives: int, negatives: int) -> float:
    """Half of the 95% interval of an AUROC of 0.75 (Hanley and McNeil 1982), 1 where there is none."""
    if not positives or not negatives:
        return 1.0
    area = _TYPICAL
    above, below = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + (positives - 1) * (above - area**2) + (negatives - 1) * (below - area**2)
    ) / (positives * negatives)
    return min(1.0, 1.96 * sqrt(variance))
