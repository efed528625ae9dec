"""The sampling chains of a batch of rows, each with its own parameters, applied together.

A chain is compiled once for as long as the rows' parameters stay the same. Rows that leave a
transform at its neutral value are not touched by it, so what a row gets does not depend on
its neighbours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.decoding.penalties import (
    apply_count_penalties,
    apply_logit_bias,
    apply_repetition_penalty,
    count_tokens,
)
from app.decoding.sampling import (
    apply_min_p,
    apply_temperature,
    apply_top_k,
    apply_top_p,
    apply_typical_p,
    draw,
)
from app.decoding.types import SamplingParams

Transform = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class History:
    """The ids that a row's penalties look at."""

    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]


@dataclass(frozen=True)
class _Stage:
    """A transform on some of the rows (None = all of them), with their parameters."""

    transform: Transform
    rows: Tensor | None
    values: Tensor

    def __call__(self, logits: Tensor) -> Tensor:
        if self.rows is None:
            return self.transform(logits, self.values)
        return logits.index_copy(0, self.rows, self.transform(logits[self.rows], self.values))


class SamplingChain:
    """Chooses the next token of each row from its raw logits.

    Attributes:
        sampled: rows that draw, in order; the others take the likeliest token.
        penalised: rows whose penalties need a history, in order.
    """

    def __init__(self, params: Sequence[SamplingParams], device: torch.device) -> None:
        self.params = list(params)
        self.sampled = [row for row, each in enumerate(params) if each.temperature > 0]
        self.penalised = [row for row, each in enumerate(params) if _has_penalty(each)]
        self._device = device
        self._biased = [row for row, each in enumerate(params) if each.logit_bias]
        self._sampled_index = self._index(self.sampled, len(params))
        drawing = [params[row] for row in self.sampled]
        self._stages = [
            stage
            for stage in (
                self._stage(apply_temperature, [each.temperature for each in drawing], 1.0),
                self._stage(apply_top_k, [each.top_k for each in drawing], 0),
                self._stage(apply_typical_p, [each.typical_p for each in drawing], 1.0),
                self._stage(apply_top_p, [each.top_p for each in drawing], 1.0),
                self._stage(apply_min_p, [each.min_p for each in drawing], 0.0),
            )
            if stage is not None
        ]

    def choose(self, logits: Tensor, uniforms: Sequence[float], histories: Sequence[History]) -> Tensor:
        """Token ids (R,) from raw logits (R, V).

        Args:
            logits: raw; not changed.
            uniforms: in [0, 1), one for each row of `sampled`.
            histories: one for each row of `penalised`.
        """
        logits = self.adjust(logits, histories)
        if not self.sampled:
            return logits.argmax(dim=-1)
        points = torch.tensor(uniforms, dtype=torch.float64, device=self._device)
        if self._sampled_index is None:
            return draw(self.cut(logits), points)
        chosen = logits.argmax(dim=-1)
        chosen[self._sampled_index] = draw(self.cut(logits[self._sampled_index]), points)
        return chosen

    def adjust(self, logits: Tensor, histories: Sequence[History]) -> Tensor:
        """Penalties and logit bias, on all rows (R, V)."""
        if self.penalised:
            rows = torch.tensor(self.penalised, device=self._device)
            logits = logits.index_copy(0, rows, self._penalise(logits[rows], histories))
        if self._biased:
            logits = apply_logit_bias(logits, [each.logit_bias for each in self.params])
        return logits

    def cut(self, logits: Tensor) -> Tensor:
        """Temperature and the transforms that remove tokens, on the rows that draw."""
        for stage in self._stages:
            logits = stage(logits)
        return logits

    def _penalise(self, logits: Tensor, histories: Sequence[History]) -> Tensor:
        params = [self.params[row] for row in self.penalised]
        vocab_size = logits.shape[-1]
        completions = count_tokens([each.completion_ids for each in histories], vocab_size, self._device)
        prompts = count_tokens([each.prompt_ids for each in histories], vocab_size, self._device)
        logits = apply_repetition_penalty(
            logits, (completions + prompts) > 0, self._floats([each.repetition_penalty for each in params])
        )
        return apply_count_penalties(
            logits,
            completions,
            self._floats([each.frequency_penalty for each in params]),
            self._floats([each.presence_penalty for each in params]),
        )

    def _stage(self, transform: Transform, values: Sequence[float], neutral: float) -> _Stage | None:
        rows = [row for row, value in enumerate(values) if value != neutral]
        if not rows:
            return None
        used = torch.tensor([values[row] for row in rows], device=self._device)
        return _Stage(transform, self._index(rows, len(values)), used)

    def _index(self, rows: list[int], total: int) -> Tensor | None:
        return None if len(rows) == total else torch.tensor(rows, dtype=torch.int64, device=self._device)

    def _floats(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device)


def _has_penalty(params: SamplingParams) -> bool:
    return (
        params.repetition_penalty != 1.0 or params.frequency_penalty != 0.0 or params.presence_penalty != 0.0
    )
