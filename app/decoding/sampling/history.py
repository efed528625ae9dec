"""What samplers may know of a row besides its logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class History:
    """What was written in a row so far. vocabulary: the bytes of every id, for DRY's breakers."""

    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]
    vocabulary: Sequence[bytes] = ()

    @property
    def ids(self) -> list[int]:
        return [*self.prompt_ids, *self.completion_ids]


SamplerState = Mapping[str, float]
"""What samplers that follow the tokens drawn before remember after one of them: a number by the sampler's
name; none of a sampler that has not drawn yet."""
