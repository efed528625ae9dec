"""Counter-based random numbers: a hash of where one is drawn, so no generator has a state.

The same (seed, branch, position, attempt, purpose) gives the same number on every platform, in every batch
and in any order of execution.
"""

import struct
from hashlib import blake2b

_BITS = 53  # of a float64's significand, so that every value below 1 is exact
_MASK = 2**64 - 1


def uniform(seed: int, branch: tuple[int, ...], position: int, attempt: int, purpose: str = "") -> float:
    """A uniform number in [0, 1) for one draw.

    Args:
        seed: the request's; taken modulo 2^64.
        branch: index of the choice, then of each fork that led here.
        position: of the token in the completion.
        attempt: how often the token there was drawn and taken back before.
        purpose: what it is for, at most 64 bytes; numbers for different purposes are independent. That of
            the token itself has none.
    """
    data = struct.pack(f"<{len(branch) + 3}Q", seed & _MASK, position, attempt, *branch)
    digest = blake2b(data, digest_size=8, key=purpose.encode()).digest()
    return (int.from_bytes(digest, "little") >> (64 - _BITS)) * 2.0**-_BITS
