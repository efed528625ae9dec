"""The samplers that look at what was written, applied to the rows of a batch that use them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from app.decoding.sampling.dry import dry_penalties
from app.decoding.sampling.params import SamplingParams
from app.decoding.sampling.penalties import (
    apply_count_penalties,
    apply_repetition_penalty,
    ban_tokens,
    count_tokens,
    ngram_continuations,
    subtract,
)

if TYPE_CHECKING:
    from app.decoding.core.text import Text


@dataclass(frozen=True)
class History:
    """What was written in a row so far. vocabulary: the bytes of every id, for DRY's breakers."""

    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]
    vocabulary: Sequence[bytes] = ()

    @property
    def ids(self) -> list[int]:
        return [*self.prompt_ids, *self.completion_ids]


def history_of(sequence: "Text") -> History:
    """What was written in a sequence so far."""
    prompt_ids = sequence.spec.prompt_ids
    return History(prompt_ids, sequence.context.ids[len(prompt_ids) :], sequence.spec.vocabulary)


Adjust = Callable[[Tensor, Sequence[SamplingParams], Sequence[History]], Tensor]


def _penalise(logits: Tensor, params: Sequence[SamplingParams], histories: Sequence[History]) -> Tensor:
    def floats(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=logits.device)

    vocab_size, device = logits.shape[-1], logits.device
    completions = count_tokens([each.completion_ids for each in histories], vocab_size, device)
    prompts = count_tokens([each.prompt_ids for each in histories], vocab_size, device)
    logits = apply_repetition_penalty(
        logits, (completions + prompts) > 0, floats([each.repetition_penalty for each in params])
    )
    return apply_count_penalties(
        logits,
        completions,
        floats([each.frequency_penalty for each in params]),
        floats([each.presence_penalty for each in params]),
    )


def _ban_ngrams(logits: Tensor, params: Sequence[SamplingParams], histories: Sequence[History]) -> Tensor:
    pairs = zip(params, histories, strict=True)
    return ban_tokens(
        logits, [ngram_continuations(history.ids, each.no_repeat_ngram_size) for each, history in pairs]
    )


def _dry(logits: Tensor, params: Sequence[SamplingParams], histories: Sequence[History]) -> Tensor:
    penalties = [
        dry_penalties(
            history.ids,
            history.vocabulary,
            multiplier=each.dry_multiplier,
            base=each.dry_base,
            allowed_length=each.dry_allowed_length,
            last_n=each.dry_penalty_last_n,
            breakers=each.dry_sequence_breakers,
        )
        for each, history in zip(params, histories, strict=True)
    ]
    return subtract(logits, penalties)


HISTORY_SAMPLERS: Mapping[str, Adjust] = MappingProxyType(
    {"penalties": _penalise, "no_repeat_ngram": _ban_ngrams, "dry": _dry}
)
