"""Everything that decides the outcome of a pretraining run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

from models.corpora.corpus import Corpus
from models.corpora.registry import DEFAULT, card_of, corpus_named
from models.errors import SpecError
from models.gpt2 import Positions
from models.training.initialise import STRUCTURES, Structure


@dataclass(frozen=True)
class PretrainConfig:
    """A pretraining run. Two runs with equal configs on the same machine give the same weights.

    Attributes:
        tokens: tokens to train on, padding excluded in good part (packed rows are about 95% full).
        decay_tokens: the last so many, over which the learning rate falls linearly to zero; constant before.
        rotary_base: base of the rotary frequencies. A large one turns most of a head slowly, which leaves it
            free to match content at any distance.
        rows, row_length: rows per step, over all processes, and tokens per row.
        muon_rate: peak learning rate of matrices inside blocks; adamw_rate: of everything else.
        prompt_weight: weight of prompt tokens in the loss; solution tokens weigh 1.
        op_weights: how often each op, the size of a problem, is drawn, from the smallest on, in any unit;
            empty draws all alike.
        op_start, op_ramp_tokens: the largest op drawn grows from `op_start` to the largest that is trained on
            over the first `op_ramp_tokens`; 0 starts with the whole range.
        structures: what the initial weights start with; see `models.training.initialise`.
        init_weights: sha256, in hex, of the weights of the checkpoint that the run starts from instead; empty
            for a run that starts from nothing.
        validate_tokens: tokens between two validations; validate_problems: problems per op in each.

    Raises:
        SpecError: a value outside its range.
    """

    corpus: Corpus = field(default_factory=corpus_named)
    positions: Positions = "rotary"
    rotary_base: float = 1e6
    context_length: int = 256
    d_model: int = 192
    n_layers: int = 6
    n_heads: int = 6
    tokens: int = 24_700_000
    decay_tokens: int = 18_000_000
    warmup_steps: int = 20
    rows: int = 24
    row_length: int = 128
    muon_rate: float = 0.01
    muon_momentum: float = 0.95
    adamw_rate: float = 2e-3
    prompt_weight: float = 0.2
    op_weights: tuple[float, ...] = ()
    op_start: int = 5
    op_ramp_tokens: int = 0
    validate_tokens: int = 2_000_000
    validate_problems: int = 100
    structures: tuple[Structure, ...] = STRUCTURES
    init_weights: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("tokens", "rows", "row_length", "warmup_steps", "validate_tokens", "validate_problems"):
            if getattr(self, name) < 1:
                raise SpecError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.op_ramp_tokens < 0:
            raise SpecError(f"op_ramp_tokens is {self.op_ramp_tokens}; it must be at least 0")
        for name in ("muon_rate", "adamw_rate"):
            if not 0 < getattr(self, name) < 1:
                raise SpecError(f"{name} is {getattr(self, name)}; it must be between 0 and 1, both excluded")
        for name in ("prompt_weight", "muon_momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecError(f"{name} is {getattr(self, name)}; it must be between 0 and 1")
        if odd := [name for name in self.structures if name not in STRUCTURES]:
            raise SpecError(f"structures has {odd[0]!r}; choose among {', '.join(STRUCTURES)}")
        if not 0 <= self.decay_tokens <= self.tokens:
            raise SpecError(
                f"decay_tokens is {self.decay_tokens}; it must be between 0 and tokens = {self.tokens}"
            )
        ops, low, high = len(self.sizes), self.sizes[0], self.sizes[-1]
        if self.op_weights and (len(self.op_weights) != ops or not all(0 < w < inf for w in self.op_weights)):
            raise SpecError(
                f"op_weights is {self.op_weights}; give {ops} positive numbers, one for each op from "
                f"{low} to {high}, or none"
            )
        if self.op_start not in self.sizes:
            raise SpecError(f"op_start is {self.op_start}; it must be in the corpus's range {low} to {high}")
        if self.row_length > self.context_length:
            raise SpecError(f"row_length {self.row_length} exceeds context_length {self.context_length}")

    @property
    def sizes(self) -> range:
        """Sizes of the problems that are trained on."""
        return self.corpus.sizes.trained

    @property
    def steps(self) -> int:
        """Optimiser steps of the run."""
        return max(1, self.tokens // (self.rows * self.row_length))

    @property
    def decay_steps(self) -> int:
        """Steps over which the learning rate falls to zero."""
        return self.decay_tokens // (self.rows * self.row_length)

    def rate_factor(self, step: int) -> float:
        """Factor on both learning rates at step 0, 1, ...: linear warm-up, constant, linear decay."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return min(warm, (self.steps - step) / (self.decay_steps + 1))

    def op_max_at(self, step: int) -> int:
        """Largest op drawn at a step."""
        ramp_steps = self.op_ramp_tokens // (self.rows * self.row_length)
        if step >= ramp_steps:
            return self.sizes[-1]
        return self.op_start + (self.sizes[-1] - self.op_start) * step // ramp_steps

    def op_weights_at(self, step: int) -> dict[int, float]:
        """How often each op is drawn at a step, in any unit."""
        ops = range(self.sizes[0], self.op_max_at(step) + 1)
        return dict(zip(ops, self.op_weights or (1.0,) * len(ops), strict=False))

    def validation_due(self, steps: range) -> bool:
        """Whether a multiple of `validate_tokens`, or the end of the run, falls into these steps."""
        every = max(1, self.validate_tokens // (self.rows * self.row_length))
        return steps.stop == self.steps or steps.stop // every > steps.start // every

    def to_card(self) -> dict[str, Any]:
        """The config as plain JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        lists = {"op_weights": list(self.op_weights), "structures": list(self.structures)}
        return values | lists | {"corpus": card_of(self.corpus)}

    @classmethod
    def from_card(cls, values: dict[str, Any]) -> "PretrainConfig":
        """The config that `to_card` wrote."""
        typed: dict[str, Any] = {name: tuple(values[name]) for name in ("op_weights", "structures")}
        corpus = with_name(values["corpus"])
        typed["corpus"] = corpus_named(corpus.pop("name"), corpus)
        return cls(**values | typed)


def with_name(corpus: Mapping[str, Any]) -> dict[str, Any]:
    """The corpus in a config's card; those written when there was one corpus do not name it."""
    return {"name": DEFAULT, **corpus}
