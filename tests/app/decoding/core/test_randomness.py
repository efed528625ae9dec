import hashlib
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.decoding.core.randomness import uniform

COORDINATES = st.tuples(
    st.integers(-(2**63), 2**64 - 1),
    st.lists(st.integers(0, 1000), min_size=1, max_size=4).map(tuple),
    st.integers(0, 10_000),
    st.integers(0, 50),
)


def test_it_is_the_documented_hash() -> None:
    """Written out byte by byte: a change would silently change every seeded text."""
    words = [7, 12, 3, 2, 9]  # seed, position, attempt, branch
    digest = hashlib.blake2b(b"".join(word.to_bytes(8, "little") for word in words), digest_size=8).digest()
    expected = int.from_bytes(digest, "little") // 2**11 / 2**53
    assert uniform(7, (2, 9), 12, 3) == expected


def test_another_purpose_is_another_key() -> None:
    words = [7, 12, 3, 2, 9]
    data = b"".join(word.to_bytes(8, "little") for word in words)
    digest = hashlib.blake2b(data, digest_size=8, key=b"coin").digest()
    assert uniform(7, (2, 9), 12, 3, "coin") == int.from_bytes(digest, "little") // 2**11 / 2**53
    purposes = [uniform(1, (0,), 4, 0, purpose) for purpose in ("", "a", "b", "ab")]
    assert len(set(purposes)) == 4


@given(COORDINATES)
def test_it_is_in_the_half_open_interval_and_repeatable(where: tuple[int, tuple[int, ...], int, int]) -> None:
    value = uniform(*where)
    assert 0.0 <= value < 1.0
    assert uniform(*where) == value


def test_values_are_uniform_and_neighbours_independent() -> None:
    values = [
        uniform(seed, (branch,), position, attempt)
        for seed in range(-4, 4)
        for branch in range(10)
        for position in range(100)
        for attempt in range(3)
    ]
    assert len(set(values)) == len(values)
    assert stats.kstest(values, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03
    random.Random(0).shuffle(values)
    assert stats.kstest(values[:1000], "uniform").pvalue > 0.001


def test_a_branch_is_not_confused_with_another_of_different_depth() -> None:
    assert uniform(1, (2, 0), 5, 0) != uniform(1, (2,), 5, 0)
