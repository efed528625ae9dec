"""Mirostat and adaptive-p in the rows of a batch that use them: the last transform, and what they learn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from app.decoding.core.types import SamplerState
from app.decoding.sampling.feedback import (
    adapted_target,
    adaptive_average,
    apply_adaptive_p,
    apply_mirostat,
    apply_mirostat_v2,
    mirostat_mu,
)
from app.decoding.sampling.params import SamplingParams

NO_STATE = SamplerState()


class Feedback:
    """The rows of a batch that follow the tokens that they drew.

    rows: their numbers in the batch. places: of these among the logits.
    """

    def __init__(
        self, params: Sequence[SamplingParams], places: Mapping[int, int], device: torch.device
    ) -> None:
        self._params = params
        self._places = places
        self._device = device
        self._mirostat = {
            version: [row for row in places if params[row].mirostat == version] for version in (1, 2)
        }
        self._adaptive = [row for row in places if params[row].is_on("adaptive_p")]
        self.rows = sorted((*self._mirostat[1], *self._mirostat[2], *self._adaptive))

    def apply(self, logits: Tensor, states: Mapping[int, SamplerState]) -> Tensor:
        """Logits to draw from, given what each row remembers."""
        for version, transform in ((1, apply_mirostat), (2, apply_mirostat_v2)):
            rows = self._mirostat[version]
            if rows:
                mu = self._floats([self._mu(row, states) for row in rows])
                logits = self._on(rows, logits, transform(logits[self._index(rows)], mu))
        if self._adaptive:
            targets = [
                adapted_target(self._params[row].adaptive_target, self._average(row, states))
                for row in self._adaptive
            ]
            index = self._index(self._adaptive)
            adapted = apply_adaptive_p(logits[index], self._floats(targets))
            logits = self._on(self._adaptive, logits, adapted)
        return logits

    def learn(
        self, before: Tensor, after: Tensor, chosen: Tensor, states: Mapping[int, SamplerState]
    ) -> dict[int, SamplerState]:
        """What each row remembers now.

        before, after: logits (R, V) that `apply` was given and returned. chosen: (R,) ids.
        """
        learnt: dict[int, SamplerState] = {}
        mirostat = [*self._mirostat[1], *self._mirostat[2]]
        for row, logprob in self._logprobs(mirostat, after, chosen):
            params = self._params[row]
            mu = mirostat_mu(self._mu(row, states), logprob, params.mirostat_tau, params.mirostat_eta)
            learnt[row] = replace(states.get(row, NO_STATE), mu=mu)
        for row, logprob in self._logprobs(self._adaptive, before, chosen):
            average = adaptive_average(self._average(row, states), logprob, self._params[row].adaptive_decay)
            learnt[row] = replace(states.get(row, NO_STATE), average=average)
        return learnt

    def _mu(self, row: int, states: Mapping[int, SamplerState]) -> float:
        mu = states.get(row, NO_STATE).mu
        return 2 * self._params[row].mirostat_tau if mu is None else mu

    def _average(self, row: int, states: Mapping[int, SamplerState]) -> float:
        average = states.get(row, NO_STATE).average
        return self._params[row].adaptive_target if average is None else average

    def _logprobs(self, rows: Sequence[int], logits: Tensor, chosen: Tensor) -> list[tuple[int, float]]:
        """The log-probability of each row's chosen token."""
        if not rows:
            return []
        index = self._index(rows)
        # A row from which nothing could be drawn has no id, and nothing is made of what it learns.
        ids = chosen[index].clamp_max(logits.shape[-1] - 1)
        log_probs = logits[index].log_softmax(dim=-1).gather(-1, ids.unsqueeze(-1))
        return list(zip(rows, log_probs.squeeze(-1).tolist(), strict=True))

    def _on(self, rows: Sequence[int], logits: Tensor, transformed: Tensor) -> Tensor:
        return logits.index_copy(0, self._index(rows), transformed)

    def _index(self, rows: Sequence[int]) -> Tensor:
        return torch.tensor([self._places[row] for row in rows], dtype=torch.int64, device=self._device)

    def _floats(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self._device)
