"""Chains, logits and histories from the ends of what is allowed, for hypothesis."""

import math
from typing import Any

from hypothesis import strategies as st
from torch import finfo, float32

from app.decoding.sampling.history import History
from app.decoding.sampling.params import SamplingParams
from app.decoding.sampling.samplers import SAMPLERS, SETTINGS

LARGEST = float(finfo(float32).max)
TINY = (1e-46, 1e-45, 1e-40, 1.2e-38, 1e-30, 1e-7)
"""The first is 0 in single precision, the next two have fewer digits there than others."""

EXCLUSIVE = (("dynatemp_range", "edt_theta"), ("mirostat", "adaptive_target"))
_LARGEST_K = 9


def _values(name: str) -> st.SearchStrategy[float]:
    allowed = SETTINGS[name].allowed
    assert allowed is not None
    low, high = allowed.low, allowed.high
    if isinstance(getattr(SamplingParams(), name), int):
        few = st.integers(int(low), min(int(high), _LARGEST_K))
        return st.one_of(few, st.just(int(high)))
    ends = [low, high, math.nextafter(low, math.inf), math.nextafter(high, -math.inf)]
    near = [each for tiny in TINY for each in (low + tiny, high - tiny)]
    return st.one_of(st.sampled_from([*ends, *near]), st.floats(low, high))


@st.composite
def chains(draw: st.DrawFn) -> SamplingParams:
    """Any samplers, with any values, in the default order or any other that is allowed."""
    names = draw(st.lists(st.sampled_from(list(SAMPLERS)), unique=True, max_size=8))
    infos = [SAMPLERS[name] for name in names]
    fields: dict[str, Any] = {}
    for name in (each for info in infos for each in (*info.switches, *info.settings)):
        if name == "p_less":
            fields[name] = True
        elif name != "dry_sequence_breakers":
            fields[name] = draw(_values(name))
    for pair in EXCLUSIVE:
        fields.pop(draw(st.sampled_from(pair)), None)
    fields["logit_bias"] = draw(
        st.one_of(
            st.just({}),
            st.just(dict.fromkeys(range(80), -100.0)),
            st.dictionaries(st.integers(0, 79), st.sampled_from([-100.0, -1e-46, 1.0, 100.0]), max_size=4),
        )
    )
    if draw(st.booleans()):
        order = {"history": 0, "shape": 1, "feedback": 2}
        fields["samplers"] = tuple(sorted(names, key=lambda name: order[SAMPLERS[name].kind]))
    return SamplingParams(**fields)


PLAIN = st.one_of(
    st.integers(-80, 80).map(lambda n: n / 4), st.sampled_from([0.0, 1.0, -math.inf, 3e38, -3e38, 1e4])
)
"""Far enough from each other for single precision, or the same."""

WILD = st.one_of(
    PLAIN,
    st.sampled_from([LARGEST, -LARGEST, 1e37, -1e37, 1e-45, -1e-45, 1e-30]),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)


def rows(logit: st.SearchStrategy[float], most: int = 80) -> st.SearchStrategy[list[float]]:
    """Logits of a vocabulary, of which at least one is possible."""
    row = st.lists(logit, min_size=1, max_size=most)
    long = row.map(lambda few: few * (600 // len(few) + 1))  # more than the samplers look at first
    return st.one_of(row, row, long).filter(lambda each: max(each) > -math.inf)


def histories(vocab_size: int) -> st.SearchStrategy[History]:
    """Ids that repeat themselves, the whole vocabulary too."""
    ids = st.lists(st.integers(0, vocab_size - 1), min_size=1, max_size=12)
    every = list(range(min(vocab_size, 80)))
    repeated = st.tuples(ids, st.integers(1, 40)).map(lambda pair: pair[0] * pair[1])
    return st.builds(History, ids, st.one_of(ids, repeated, st.just(every), st.just(every * 3)))
