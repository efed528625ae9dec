"""The sampling chains of a batch of rows, each with its own parameters, applied together.

A chain is compiled once for as long as the rows' parameters stay the same. Rows that leave a
transform at its neutral value are not touched by it, so what a row gets does not depend on
its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.decoding.core.types import SamplerState
from app.decoding.sampling.drawing import draw
from app.decoding.sampling.feedback_rows import Feedback
from app.decoding.sampling.history import HISTORY_SAMPLERS, History
from app.decoding.sampling.params import SAMPLERS, SamplingParams
from app.decoding.sampling.penalties import apply_logit_bias
from app.decoding.sampling.shaping import compile_stages


@dataclass(frozen=True)
class Chosen:
    """Token ids (R,), and by row what mirostat and adaptive-p know after them.

    An id is the vocabulary's size, which is none, where the row's logits are such that nothing can be chosen:
    they hold what is no number, or infinity, or nothing finite. So to notice it takes no further look.
    """

    ids: Tensor
    states: Mapping[int, SamplerState]


class SamplingChain:
    """Chooses the next token of each row from its raw logits.

    Attributes:
        sampled: rows that draw, in order; the others take the likeliest token.
        penalised: rows that look at their history, in order.
        tossing: rows that toss a coin besides, in order.
        remembering: rows whose sampler follows the tokens that it drew, in order.
    """

    def __init__(self, params: Sequence[SamplingParams], device: torch.device) -> None:
        self.params = list(params)
        self.sampled = [row for row, each in enumerate(params) if each.temperature > 0]
        self._device = device
        self._biased = any(each.logit_bias for each in params)
        self._sampled_index = None
        if len(self.sampled) < len(params):
            self._sampled_index = torch.tensor(self.sampled, dtype=torch.int64, device=device)
        ordered = _rows_by_sampler(params)
        self._adjusting = [(name, rows) for name, rows in ordered if name in HISTORY_SAMPLERS]
        self.penalised = sorted({row for _, rows in self._adjusting for row in rows})
        places = {row: place for place, row in enumerate(self.sampled)}
        shaping = [(name, rows) for name, rows in ordered if SAMPLERS[name].kind == "shape"]
        self._stages = compile_stages(shaping, params, places, device)
        self.tossing = sorted(row for stage in self._stages if stage.shape.tosses for row in stage.rows)
        self._feedback = Feedback(params, places, device)
        self.remembering = self._feedback.rows

    def choose(
        self,
        logits: Tensor,
        uniforms: Sequence[float],
        histories: Sequence[History] = (),
        coins: Sequence[float] = (),
        states: Sequence[SamplerState] = (),
    ) -> Chosen:
        """The next tokens, from raw logits (R, V), which are not changed.

        Args:
            uniforms: in [0, 1), one for each row of `sampled`.
            histories: one for each row of `penalised`.
            coins: in [0, 1), one for each row of `tossing`.
            states: one for each row of `remembering`; an empty one at the beginning of a text.
        """
        raw, logits = logits, self.adjust(logits, histories)
        if not self.sampled:
            return Chosen(_likeliest(logits, logits is not raw), {})
        index = self._sampled_index
        before = self.cut(logits if index is None else logits[index], coins)
        known = dict(zip(self.remembering, states, strict=True))
        after = self._feedback.apply(before, known)
        drawn = draw(after, torch.tensor(uniforms, dtype=torch.float64, device=self._device))
        learnt = self._feedback.learn(before, after, drawn, known)
        if index is None:
            return Chosen(drawn, learnt)
        ids = _likeliest(logits, logits is not raw)
        ids[index] = drawn
        return Chosen(ids, learnt)

    def adjust(self, logits: Tensor, histories: Sequence[History]) -> Tensor:
        """What looks at the histories, and the logit bias, on all rows (R, V)."""
        known = dict(zip(self.penalised, histories, strict=True))
        for name, rows in self._adjusting:
            index = torch.tensor(rows, dtype=torch.int64, device=self._device)
            params = [self.params[row] for row in rows]
            adjusted = HISTORY_SAMPLERS[name](logits[index], params, [known[row] for row in rows])
            logits = logits.index_copy(0, index, adjusted)
        if self._biased:
            logits = apply_logit_bias(logits, [each.logit_bias for each in self.params])
        return logits

    def cut(self, logits: Tensor, coins: Sequence[float] = ()) -> Tensor:
        """What looks at the distribution alone, on the rows that draw."""
        tossed = dict(zip(self.tossing, coins, strict=True))
        for stage in self._stages:
            logits = stage(logits, tossed)
        return logits


def _likeliest(logits: Tensor, changed: bool) -> Tensor:
    """The likeliest token of each row (R, V), the first of equals; V where that is not finite.

    changed: they are not the model's own, whose log-probabilities tell whether they are numbers.
    """
    ids = logits.argmax(dim=-1)
    if not changed:
        return ids
    best = logits.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    return ids.masked_fill_(~best.isfinite(), logits.shape[-1])


def _rows_by_sampler(params: Sequence[SamplingParams]) -> list[tuple[str, list[int]]]:
    """Samplers in the order in which to apply them, each with its rows.

    Rows of the same order are taken together; those of another order follow, and do not notice.
    """
    orders: dict[tuple[str, ...] | None, list[int]] = {}
    for row, each in enumerate(params):
        orders.setdefault(each.samplers, []).append(row)
    ordered: list[tuple[str, list[int]]] = []
    for order, rows in orders.items():
        active = {row: set(params[row].active) for row in rows}
        for name in SAMPLERS if order is None else order:
            users = [row for row in rows if name in active[row]]
            if users:
                ordered.append((name, users))
    return ordered
