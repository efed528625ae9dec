"""What each sampler does, written out in float64 from its formula, one row at a time and without haste.

Decisions at a threshold depend on rounding, so a cut takes a `nudge` by which its threshold is moved: what
it decides alike a little below and a little above is beyond doubt.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float64]
Mask = NDArray[np.bool_]
Cut = Callable[[Row, float, float], Mask]


def softmax(logits: Row) -> Row:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def entropy(probs: Row) -> float:
    return -sum(p * math.log(p) for p in probs.tolist() if p > 0)


def kept_to_probs(logits: Row, kept: Mask) -> Row:
    return softmax(np.where(kept, logits, -math.inf))


def with_best(logits: Row, kept: Mask) -> Mask:
    return kept | (logits == logits.max())


def foremost(keys: Row, count: int) -> Mask:
    """The `count` highest keys, and all that are equal to the last of them."""
    return keys >= sorted(keys.tolist(), reverse=True)[max(count, 1) - 1]


def until(masses: list[float], limit: float) -> int:
    """How many masses are needed to reach the limit."""
    total = 0.0
    for count, mass in enumerate(masses, start=1):
        total += mass
        if total >= limit:
            return count
    return len(masses)


def top_k(logits: Row, k: float, nudge: float) -> Mask:
    del nudge  # no rounding
    return foremost(logits, min(int(k), len(logits)))


def top_p(logits: Row, mass: float, nudge: float) -> Mask:
    masses = sorted(softmax(logits).tolist(), reverse=True)
    return foremost(logits, until(masses, mass * (1 + nudge)))


def typical_p(logits: Row, mass: float, nudge: float) -> Mask:
    probs = softmax(logits)
    expected = entropy(probs)
    with np.errstate(divide="ignore"):
        distance = np.abs(-np.log(probs) - expected)
    # Equal but for the rounding of the logarithm.
    distance = np.asarray(np.round(distance, 10), dtype=np.float64)
    order = np.argsort(distance, kind="stable")
    count = until(probs[order].tolist(), mass * (1 + nudge))
    return foremost(-distance, count)


def min_p(logits: Row, ratio: float, nudge: float) -> Mask:
    probs = softmax(logits)
    return probs >= ratio * (1 + nudge) * probs.max()


def top_n_sigma(logits: Row, n: float, nudge: float) -> Mask:
    possible = logits[logits > -math.inf]
    sigma = math.sqrt(float(((possible - possible.mean()) ** 2).mean()))
    return with_best(logits, logits >= logits.max() - n * (1 + nudge) * sigma)


def epsilon_cutoff(logits: Row, epsilon: float, nudge: float) -> Mask:
    return with_best(logits, softmax(logits) >= epsilon * (1 + nudge))


def eta_cutoff(logits: Row, epsilon: float, nudge: float) -> Mask:
    probs = softmax(logits)
    eta = min(epsilon, math.sqrt(epsilon) * math.exp(-entropy(probs)))
    return with_best(logits, probs >= eta * (1 + nudge))


def p_less(logits: Row, _: float, nudge: float) -> Mask:
    probs = softmax(logits)
    return with_best(logits, probs >= float((probs**2).sum()) * (1 + nudge))


def top_a(logits: Row, a: float, nudge: float) -> Mask:
    probs = softmax(logits)
    return with_best(logits, probs >= a * (1 + nudge) * probs.max() ** 2)


def top_h(logits: Row, share: float, nudge: float) -> Mask:
    probs = sorted(softmax(logits).tolist(), reverse=True)
    limit, used, count = share * entropy(np.array(probs)) * (1 + nudge), 0.0, 0
    for p in probs:
        used -= p * math.log(p) if p > 0 else 0.0
        if used > limit or p == 0:
            break
        count += 1
    return foremost(logits, count)


def tfs(logits: Row, z: float, nudge: float) -> Mask:
    if len(logits) < 3:
        return np.ones(len(logits), dtype=np.bool_)
    probs = np.array(sorted(softmax(logits).tolist(), reverse=True))
    bends = np.abs(np.diff(np.diff(probs)))
    if bends.sum() == 0:
        return np.ones(len(logits), dtype=np.bool_)
    running = np.cumsum(bends / bends.sum())
    return foremost(logits, 1 + int((running <= z * (1 + nudge)).sum()))


def xtc(logits: Row, threshold: float, nudge: float) -> Mask:
    """Where its coin falls so that it cuts."""
    probs = softmax(logits)
    possible = logits > -math.inf
    top = [i for i, p in enumerate(probs.tolist()) if p >= threshold * (1 + nudge) and possible[i]]
    if len(top) < 2:
        return np.ones(len(logits), dtype=np.bool_)
    return logits <= min(logits[i] for i in top)


def mirostat_v2(logits: Row, mu: float, nudge: float) -> Mask:
    with np.errstate(divide="ignore"):
        surprise = -np.log2(softmax(logits))
    return with_best(logits, surprise <= mu * (1 + nudge))


def mirostat_v1(logits: Row, mu: float, nudge: float) -> Mask:
    best = float(softmax(logits).max())
    probs = [p for p in sorted(softmax(logits).tolist(), reverse=True) if p > best * math.exp(-100)][:100]
    size = len(logits)
    above = below = 0.0
    for i in range(len(probs) - 1):
        t, b = math.log((i + 2) / (i + 1)), math.log(probs[i] / probs[i + 1])
        above += t * b
        below += t * t
    if below == 0:
        return foremost(logits, 1)
    s = above / below
    e = s - 1
    base = (e / (1 - size**-e) if abs(e) > 1e-9 else 1 / math.log(size)) * 2**mu
    if s < 1e-12:
        return foremost(logits, 1 if base < 1 else size)
    log_k = min(math.log(base) / s, math.log(size))
    return foremost(logits, min(size, max(1, math.floor(math.exp(log_k) * (1 + nudge)))))


CUTS: dict[str, Cut] = {
    "top_k": top_k,
    "top_p": top_p,
    "typical_p": typical_p,
    "min_p": min_p,
    "top_n_sigma": top_n_sigma,
    "epsilon_cutoff": epsilon_cutoff,
    "eta_cutoff": eta_cutoff,
    "p_less": p_less,
    "top_a": top_a,
    "top_h": top_h,
    "tfs": tfs,
    "xtc": xtc,
    "mirostat_v1": mirostat_v1,
    "mirostat_v2": mirostat_v2,
}


def temperature(logits: Row, t: float) -> Row:
    return softmax((logits - logits.max()) / max(t, 1e-200))


def dynamic_temperature(logits: Row, t: float, spread: float, exponent: float) -> Row:
    possible = int((logits > -math.inf).sum())
    if possible < 2:
        return softmax(logits)
    low, high = max(0.0, t - spread), t + spread
    share = entropy(softmax(logits)) / math.log(possible)
    return temperature(logits, low + (high - low) * share**exponent)


def edt(logits: Row, t: float, base: float, theta: float) -> Row:
    measured = entropy(softmax(logits))
    if measured == 0:
        return softmax(np.where(logits == logits.max(), logits, -math.inf))
    return temperature(logits, t * base ** (theta / measured))


def smoothing(logits: Row, factor: float, curve: float) -> Row:
    k, s = (3 - curve) / 2, (curve - 1) / 2
    new: list[float] = []
    for each in logits.tolist():
        d = each - float(logits.max())
        new.append(-math.inf if each == -math.inf else -k * factor * d**2 + s * factor * d**3)
    return softmax(np.array(new))


def adaptive_p(logits: Row, target: float) -> Row:
    new: list[float] = []
    for each, p in zip(logits.tolist(), softmax(logits).tolist(), strict=True):
        distance = abs(p - target) / 0.3
        new.append(-math.inf if each == -math.inf else 5 - 10 * distance**2 / (1 + distance))
    return softmax(np.array(new))
