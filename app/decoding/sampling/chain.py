"""The sampling chains of a batch of rows, each with its own parameters, applied together.

A chain is compiled once for as long as the rows' parameters stay the same. Rows that leave a
transform at its neutral value are not touched by it, so what a row gets does not depend on
its neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.decoding.sampling.declaration import FeedbackStep, HistoryStep, ShapeStep
from app.decoding.sampling.drawing import draw
from app.decoding.sampling.history import History, SamplerState
from app.decoding.sampling.params import SamplingParams
from app.decoding.sampling.penalties import apply_logit_bias
from app.decoding.sampling.stages import Stage, columns_of, rows_by_sampler, stages_of

Draw = Callable[[Tensor, Tensor], Tensor]
"""From logits (R, V) and uniform numbers (R,) to ids (R,), as `app.decoding.sampling.drawing.draw`."""


@dataclass(frozen=True)
class DrawnTokens:
    """Token ids (R,), and by row what mirostat and adaptive-p know after them.

    An id is the vocabulary's size, which is none, where the row's logits are such that nothing can be chosen:
    they hold what is no number, or infinity, or nothing finite. So to notice it takes no further look.
    """

    ids: Tensor
    states: Mapping[int, SamplerState]


class SamplingChain:
    """Chooses the next token of each row from its raw logits.

    draw: the model's own inverse CDF, where it has one.

    Attributes:
        sampled: rows that draw, in order; the others take the likeliest token.
        penalised: rows that look at their history, in order.
        tossing: rows that toss a coin besides, in order.
        remembering: rows whose sampler follows the tokens that it drew, in order.
    """

    def __init__(self, params: Sequence[SamplingParams], device: torch.device, draw: Draw = draw) -> None:
        self.params = list(params)
        self._draw = draw
        self.sampled = [row for row, each in enumerate(params) if each.temperature > 0]
        self._device = device
        self._biased = any(each.logit_bias for each in params)
        self._sampled_index = None
        if len(self.sampled) < len(params):
            self._sampled_index = torch.tensor(self.sampled, dtype=torch.int64, device=device)
        ordered = rows_by_sampler(params)
        every = {row: row for row in range(len(params))}
        drawing = {row: place for place, row in enumerate(self.sampled)}
        self._adjusting = stages_of(HistoryStep, ordered, params, every, device)
        self._shaping = stages_of(ShapeStep, ordered, params, drawing, device)
        self._following = stages_of(FeedbackStep, ordered, params, drawing, device)
        self._columns = [columns_of(stage, device) for stage in self._shaping]
        self.penalised = sorted({row for stage in self._adjusting for row in stage.rows})
        self.tossing = sorted(row for stage in self._shaping if stage.step.tosses for row in stage.rows)
        self.remembering = sorted(row for stage in self._following for row in stage.rows)

    def choose(
        self,
        logits: Tensor,
        uniforms: Sequence[float],
        histories: Sequence[History] = (),
        coins: Sequence[float] = (),
        states: Sequence[SamplerState] = (),
    ) -> DrawnTokens:
        """The next tokens, from raw logits (R, V), which are not changed.

        Args:
            uniforms: in [0, 1), one for each row of `sampled`.
            histories: one for each row of `penalised`.
            coins: in [0, 1), one for each row of `tossing`.
            states: one for each row of `remembering`; an empty one at the beginning of a text.
        """
        raw = logits
        if self._biased or self._adjusting:
            logits = self.adjust(logits, histories)
        if not self.sampled:
            return DrawnTokens(_likeliest(logits, logits is not raw), {})
        index = self._sampled_index
        before = self.cut(logits if index is None else logits[index], coins)
        after = self.follow(before, states) if self._following else before
        drawn = self._draw(after, torch.tensor(uniforms, dtype=torch.float64, device=self._device))
        learnt = self._learn(before, after, drawn, states) if self._following else {}
        if index is None:
            return DrawnTokens(drawn, learnt)
        ids = _likeliest(logits, logits is not raw)
        ids[index] = drawn
        return DrawnTokens(ids, learnt)

    def adjust(self, logits: Tensor, histories: Sequence[History]) -> Tensor:
        """What looks at the histories, and the logit bias, on all rows (R, V)."""
        known = dict(zip(self.penalised, histories, strict=True))
        for stage in self._adjusting:
            own = [known[row] for row in stage.rows]
            logits = stage.put(logits, stage.step.apply(stage.take(logits), stage.params, own))
        if self._biased:
            logits = apply_logit_bias(logits, [each.logit_bias for each in self.params])
        return logits

    def cut(self, logits: Tensor, coins: Sequence[float] = ()) -> Tensor:
        """What looks at the distribution alone, on the rows that draw."""
        tossed = dict(zip(self.tossing, coins, strict=True))
        for stage, columns in zip(self._shaping, self._columns, strict=True):
            own = [self._doubles([tossed[row] for row in stage.rows])] if stage.step.tosses else []
            logits = stage.put(logits, stage.step.apply(stage.take(logits), *columns, *own))
        return logits

    def follow(self, logits: Tensor, states: Sequence[SamplerState]) -> Tensor:
        """What follows the tokens drawn before, on the rows that draw: logits to draw from."""
        known = dict(zip(self.remembering, states, strict=True))
        for stage in self._following:
            aims = [
                stage.step.aim(params, _remembered(stage, params, known[row]))
                for row, params in zip(stage.rows, stage.params, strict=True)
            ]
            logits = stage.put(logits, stage.step.apply(stage.take(logits), self._doubles(aims)))
        return logits

    def _learn(
        self, before: Tensor, after: Tensor, drawn: Tensor, states: Sequence[SamplerState]
    ) -> dict[int, SamplerState]:
        """What each row remembers now.

        before, after: logits (R, V) that `follow` was given and returned. drawn: (R,) ids.
        """
        known = dict(zip(self.remembering, states, strict=True))
        learnt: dict[int, SamplerState] = {}
        for stage in self._following:
            logits = stage.take(before if stage.step.learns_from == "before" else after)
            # A row from which nothing could be drawn has no id, and nothing is made of what it learns.
            ids = stage.take(drawn).clamp_max(logits.shape[-1] - 1)
            log_probs = logits.log_softmax(dim=-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1).tolist()
            for row, params, logprob in zip(stage.rows, stage.params, log_probs, strict=True):
                remembered = _remembered(stage, params, known[row])
                learnt[row] = {**known[row], stage.sampler: stage.step.learn(params, remembered, logprob)}
        return learnt

    def _doubles(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self._device)


def _remembered(stage: Stage[FeedbackStep], params: SamplingParams, state: SamplerState) -> float:
    remembered = state.get(stage.sampler)
    return stage.step.begin(params) if remembered is None else remembered


def _likeliest(logits: Tensor, changed: bool) -> Tensor:
    """The likeliest token of each row (R, V), the first of equals; V where that is not finite.

    changed: they are not the model's own, whose log-probabilities tell whether they are numbers.
    """
    ids = logits.argmax(dim=-1)
    if not changed:
        return ids
    best = logits.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    return ids.masked_fill_(~best.isfinite(), logits.shape[-1])
