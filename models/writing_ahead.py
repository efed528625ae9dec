"""Several tokens to each of several texts in one call: what a model may offer beside `LanguageModel`.

Between two forward passes of a small network the engine takes as long as the passes do. Where nothing has to
be decided between them, the model draws the tokens itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.language_model import KVCache
from models.step_probes import StepProbe, StepSoFar

OwnCache = TypeVar("OwnCache", bound=KVCache, contravariant=True)


class Halt:
    """Keeps a model from writing on; from any thread."""

    def __init__(self) -> None:
        self.word = np.zeros(1, dtype=np.int32)

    def ask(self) -> None:
        """Have it stop after the pass that it is in."""
        self.word[0] = 1

    def clear(self) -> None:
        """It may write again."""
        self.word[0] = 0


@dataclass(frozen=True, slots=True)
class RowAhead:
    """A text to be gone on with.

    token_id: its last token, which is to be put into `slot` at `position`. uniforms: in [0, 1), one for each
    token that it may get. stops: tokens after which it gets no more.
    temperature: of the draws; at 0 the likeliest is taken. step: that of the text, if it wants probes.
    """

    token_id: int
    slot: int
    position: int
    uniforms: Sequence[float]
    temperature: float
    stops: Sequence[int]
    step: StepSoFar | None = None


class ProbesAhead(Protocol):
    """Probes as a model has them ready. count: how many."""

    @property
    def count(self) -> int: ...


@dataclass(frozen=True)
class WrittenAhead:
    """N tokens, those of the first pass before those of the second, in the order of the rows. A row has one
    at least.

    rows: the row of each. log_probs: raw, in nats; NaN where the logits are not all numbers, and then the id
    may be no token. measures: (N, M) `MEASURES` of the logits. states: (N, L, D) at the layers asked for.
    scores: (N, P) of the probes, calibrated; NaN where one is not read.
    """

    rows: list[int]
    ids: list[int]
    log_probs: list[float]
    measures: list[list[float]]
    states: NDArray[np.float32]
    scores: list[list[float]]


@runtime_checkable
class WritesAhead(Protocol[OwnCache]):
    """A language model that draws tokens itself."""

    def pack(self, probes: Sequence[StepProbe], layers: int) -> ProbesAhead:
        """Make probes ready that read states at so many layers. All have the same closing tokens."""
        ...

    def write(
        self,
        cache: OwnCache,
        rows: Sequence[RowAhead],
        hidden_layers: Sequence[int],
        halt: Halt,
        probes: ProbesAhead | None = None,
    ) -> WrittenAhead:
        """Write to every row as many tokens as it has uniform numbers, until it is halted; each is `draw`n.

        Args:
            probes: `pack`ed by this model; they read the states at `hidden_layers`.

        Raises:
            CapacityError: an id, slot or position that there is not, or a position that is not the next one.
        """
        ...

    def draw(self, logits: Tensor, uniforms: Tensor) -> Tensor:
        """Token ids (R,) of (R, V) float32 logits and (R,) float64 uniform numbers, as
        `app.decoding.sampling.drawing.draw` defines them, the same whether here or in `write`."""
        ...


def writes_ahead(model: object) -> WritesAhead[Any] | None:
    """The model, if it does."""
    return model if isinstance(model, WritesAhead) else None
