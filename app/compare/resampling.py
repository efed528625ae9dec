"""The bootstrap: problems are drawn with replacement, and all that was measured on a problem goes with it."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEED = 0
RESAMPLES = 5_000
_FEWEST = 1_000
_DRAWS = 100_000_000  # in all; beyond, there are fewer resamples of many problems
_CHUNK = 2_000_000  # draws that are in memory at once


def resamples_of(problems: int) -> int:
    """How often so many problems are resampled."""
    return max(_FEWEST, min(RESAMPLES, _DRAWS // max(problems, 1)))


def resampled_means(values: Floats, seed: int = SEED) -> Floats:
    """Mean of every column over problems drawn with replacement, the same draws for all columns.

    Args:
        values: [problems, columns]; NaN is unknown and left out. Rows in the same order give the same draws.

    Returns:
        [resamples, columns]; NaN where a resample has no problem that the column knows. Sums of whole
        numbers are exact, so that means of counts do not depend on threads or machine.
    """
    problems, columns = values.shape
    resamples = resamples_of(problems)
    means = np.full((resamples, columns), np.nan)
    if not problems:
        return means
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    # Most columns are known for the same problems: their numbers are counted once.
    patterns, pattern_of = np.unique(known, axis=1, return_inverse=True)
    patterns, pattern_of = patterns.astype(np.float64), pattern_of.reshape(-1)
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // problems)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        weights = _weights(generator, count, problems)
        numbers = (weights @ patterns)[:, pattern_of]
        sums = weights @ filled
        np.divide(sums, numbers, out=means[start : start + count], where=numbers > 0)
    return means


def _weights(generator: np.random.Generator, resamples: int, problems: int) -> Floats:
    """How often each problem is in each resample: [resamples, problems]."""
    drawn = generator.integers(0, problems, (resamples, problems))
    drawn += np.arange(resamples)[:, None] * problems
    return np.bincount(drawn.ravel(), minlength=resamples * problems).reshape(drawn.shape).astype(np.float64)
