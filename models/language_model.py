"""What the decoding engine needs from a language model, whichever network is behind it.

A cache holds keys and values only, no lengths: the caller says at which position a row goes on. So a rewind
is a smaller position, a fork is a copy of a prefix, and positions beyond the current one are never attended
to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import CapacityError, SpecError

EndTokens = int | Sequence[int] | None
"""The tokens that end a text as files of the Hugging Face format have them: one, several, or none."""


Integers = Sequence[int] | NDArray[np.int64]
"""Numbers that the host knows; a model makes one tensor of them."""


def end_token_ids(*given: EndTokens, vocab_size: int) -> tuple[int, ...]:
    """The tokens that end a text, each once, in the order in which the files name them.

    Args:
        given: what each file says.
        vocab_size: ids that the model does not have are left out, such as -1 for none.
    """
    listed = [each if isinstance(each, Sequence) else [each] for each in given]
    ids = [id_ for ids in listed for id_ in ids if isinstance(id_, int) and not isinstance(id_, bool)]
    return tuple(dict.fromkeys(id_ for id_ in ids if 0 <= id_ < vocab_size))


@dataclass(frozen=True)
class ModelSpec:
    """What a loaded model is.

    end_token_ids: each of them ends a text; empty for a model without an end.
    kernel: what computes it: native, torch, torch.compile or llama.cpp.
    dtype: what it computes in, or int8 where its weights are; None where it is what the settings name.
    quantisation: of weights that are computed with as they are quantised; None for those of a dtype.
    cache_grows: a cache takes memory as texts are written, so slots without text are free.
    """

    name: str
    vocab_size: int
    context_length: int
    d_model: int
    n_layers: int
    parameters: int
    end_token_ids: tuple[int, ...]
    kernel: str = "torch"
    dtype: str | None = None
    quantisation: str | None = None
    cache_grows: bool = False

    @property
    def end_token_id(self) -> int | None:
        """The first of the tokens that end a text, which is the one that `config.json` names first."""
        return self.end_token_ids[0] if self.end_token_ids else None

    def without_end(self, token_ids: Sequence[int]) -> Sequence[int]:
        """The tokens of a completion without the one that ended it."""
        return token_ids[:-1] if token_ids and token_ids[-1] in self.end_token_ids else token_ids


MEASURES = ("normaliser", "entropy", "varentropy", "max_probability", "margin", "confidence")
"""What a pass may find out about the distribution of each row: the logarithm of the sum of e^logit, and
signals as `app.decoding.core.signals` defines them."""


@dataclass(frozen=True)
class StepOutput:
    """Result of a forward pass, one row per sequence (or per position, from `score`).

    Attributes:
        logits: (B, V) float32, raw, at the last token of each row.
        hidden: layer to (B, D) float32, the residual stream there; layer 0 is after the embedding, layer k
            after block k, before the final norm.
        measures: (B, 6) float32, `MEASURES` of the logits, from a pass that computes them; None from others.
    """

    logits: Tensor
    hidden: Mapping[int, Tensor]
    measures: Tensor | None = None

    def before(self, other: "StepOutput") -> "StepOutput":
        """These rows, and then those of another pass of the same model that was asked for the same."""
        hidden = {layer: torch.cat((states, other.hidden[layer])) for layer, states in self.hidden.items()}
        measures = None
        if self.measures is not None and other.measures is not None:
            measures = torch.cat((self.measures, other.measures))
        return StepOutput(torch.cat((self.logits, other.logits)), hidden, measures)

    def at(self, rows: Tensor) -> "StepOutput":
        """Some of the rows, in the order of `rows`, which may name one several times."""
        hidden = {layer: states[rows] for layer, states in self.hidden.items()}
        measures = None if self.measures is None else self.measures[rows]
        return StepOutput(self.logits[rows], hidden, measures)


@dataclass(frozen=True)
class PrefillRow:
    """Tokens to append to one slot, from position `start` on; they see all earlier positions."""

    slot: int
    start: int
    token_ids: tuple[int, ...]


class KVCache(Protocol):
    """Keys and values of `slots` rows with `length` positions each.

    held_bytes: the memory that they take now. most_bytes: what they would take if every slot were full.
    text_bytes: of what they take now, what is there for the texts that slots hold; 0 where each slot has its
    memory whether it holds a text or not.
    """

    @property
    def slots(self) -> int: ...

    @property
    def length(self) -> int: ...

    @property
    def held_bytes(self) -> int: ...

    @property
    def most_bytes(self) -> int: ...

    @property
    def text_bytes(self) -> int: ...

    def cut(self, slot: int, length: int) -> None:
        """Hold no more than the first `length` positions of a slot, which is not asked for more afterwards
        before it is written again."""
        ...

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copy positions `start` to `end` of slot `source` over those of slot `target`, whose text is the
        same before, and then ends there."""
        ...


Cache = TypeVar("Cache", bound=KVCache)


def check_rows(cache: KVCache, rows: Sequence[PrefillRow]) -> None:
    """Refuse rows that a cache cannot take.

    Raises:
        CapacityError: no row, an empty one, a slot or position outside the cache, or a slot named twice.
    """
    if not rows:
        raise CapacityError("a prefill needs at least one row")
    for row in rows:
        end = row.start + len(row.token_ids)
        if not row.token_ids:
            raise CapacityError(f"slot {row.slot}: a prefill needs at least one token")
        if not 0 <= row.slot < cache.slots:
            raise CapacityError(f"slot {row.slot} is not one of the cache's slots 0 to {cache.slots - 1}")
        if not 0 <= row.start < end <= cache.length:
            raise CapacityError(
                f"slot {row.slot}: positions {row.start} to {end - 1} do not fit the cache's 0 to "
                f"{cache.length - 1}"
            )
    if len({row.slot for row in rows}) < len(rows):
        raise CapacityError("a slot is named twice in one prefill")


def check_cache_size(spec: ModelSpec, slots: int, length: int) -> None:
    """Refuse a cache that makes no sense for the model.

    Raises:
        CapacityError: more positions than the model's context, or not a positive number of either.
    """
    if not 1 <= length <= spec.context_length:
        raise CapacityError(f"a cache of {length} positions: the model takes 1 to {spec.context_length}")
    if slots < 1:
        raise CapacityError(f"a cache of {slots} slots: it needs at least 1")


def check_layers(spec: ModelSpec, hidden_layers: Sequence[int]) -> None:
    """Refuse a layer that the model does not have.

    Raises:
        SpecError: a layer outside 0 to the number of layers.
    """
    for layer in hidden_layers:
        if not 0 <= layer <= spec.n_layers:
            raise SpecError(f"hidden layer {layer} is not one of the model's 0 to {spec.n_layers}")


class LanguageModel(Protocol[Cache]):
    """A causal language model with a slotted KV cache.

    Every pass raises SpecError for a hidden layer that the model does not have.
    """

    @property
    def spec(self) -> ModelSpec: ...

    def new_cache(self, slots: int, length: int) -> Cache:
        """An empty cache.

        Raises:
            CapacityError: more positions than the model's context, or not a positive number of slots.
        """
        ...

    def prefill(
        self, cache: Cache, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        """Append several tokens to each of several slots, ragged; the output is at each row's last token.

        Raises:
            CapacityError: an empty row, a slot or position outside the cache, or a slot named twice.
        """
        ...

    def step(
        self,
        cache: Cache,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots: B ids at B slots and B positions.

        All are numbers of the host, so that a step need not wait for what the device did before.
        """
        ...

    def extend(self, cache: Cache, row: PrefillRow, hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Append tokens to one slot; logits (T, V) and hidden states (T, D) at every one of them.

        Raises:
            CapacityError: no token, or a slot or position outside the cache.
        """
        ...

    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits (T, V) and hidden states (T, D) at every position of one text, without a cache.

        Raises:
            CapacityError: no token, or more than the model's context.
        """
        ...
