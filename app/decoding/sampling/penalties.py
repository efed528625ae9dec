"""Transforms that depend on what was written so far, or on nothing but the token: logits to logits.

Pure functions over rows (R, V) with one parameter per row (R,); the input is never changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from app.decoding.sampling.declaration import HistoryStep, sampler
from app.decoding.sampling.history import History
from app.decoding.sampling.ranges import Range
from app.decoding.sampling.setting import number


def count_tokens(rows: Sequence[Sequence[int]], vocab_size: int, device: torch.device) -> Tensor:
    """How often each token occurs in each row of ids, (R, V) float32."""
    flat = [row * vocab_size + token_id for row, ids in enumerate(rows) for token_id in ids]
    counts = np.bincount(np.array(flat, dtype=np.int64), minlength=len(rows) * vocab_size)
    return torch.tensor(counts.reshape(len(rows), vocab_size), dtype=torch.float32, device=device)


def apply_repetition_penalty(logits: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """CTRL's penalty (Keskar et al., 2019) as transformers and vLLM have it.

    Of tokens in `seen` (R, V) bool (prompt and completion), a positive logit is divided by `penalty`
    (R,), a negative one multiplied; 1 changes nothing, more discourages repetition. What would leave the
    range of single precision comes to its end, so that no token is removed, nor made certain.
    """
    factor = penalty.unsqueeze(-1)
    most = torch.finfo(logits.dtype).max
    penalised = torch.where(logits > 0, logits / factor, logits * factor).clamp_(-most, most)
    return torch.where(seen & (logits > -torch.inf), penalised, logits)


def apply_count_penalties(logits: Tensor, counts: Tensor, frequency: Tensor, presence: Tensor) -> Tensor:
    """OpenAI's penalties: l - frequency * count - presence * [count > 0].

    `counts` (R, V) are of the completion alone, as in vLLM.
    """
    present = (counts > 0).to(logits.dtype)
    return logits - frequency.unsqueeze(-1) * counts - presence.unsqueeze(-1) * present


def _penalise(logits: Tensor, params: Sequence["Penalties"], histories: Sequence[History]) -> Tensor:
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


@sampler(
    "penalties",
    HistoryStep(_penalise),
    place=10,
    source="CTRL, OpenAI",
    switches=("repetition_penalty", "frequency_penalty", "presence_penalty"),
)
@dataclass(frozen=True)
class Penalties:
    """Lowers tokens that were written."""

    presence_penalty: float = number(
        0.0, Range(-2, 2, "0 turns it off"), "Lowers the logit of tokens that the completion already holds."
    )
    frequency_penalty: float = number(
        0.0, Range(-2, 2, "0 turns it off"), "The same, once for every time that it holds them."
    )
    repetition_penalty: float = number(
        1.0,
        Range(0.01, 100, "1 turns it off"),
        "Divides positive and multiplies negative logits of tokens of prompt and completion.",
    )


def ngram_continuations(ids: Sequence[int], size: int) -> list[int]:
    """The tokens that would complete a sequence of `size` tokens which `ids` holds already (Paulus et al.,
    2018), for `size` of 1 or more."""
    if size == 1:
        return sorted(set(ids))
    written = list(ids)
    ending = written[len(written) - size + 1 :]
    # The last token first: most places differ in it, and comparing it is cheaper than a slice.
    return sorted(
        {
            written[place]
            for place in range(size - 1, len(written))
            if written[place - 1] == ending[-1] and written[place - size + 1 : place] == ending
        }
    )


def ban_tokens(logits: Tensor, rows: Sequence[Sequence[int]]) -> Tensor:
    """Logits (R, V) without each row's tokens; a row that would lose all that it could draw keeps them."""
    pairs = [(row, token_id) for row, ids in enumerate(rows) for token_id in ids]
    if not pairs:
        return logits
    index = torch.tensor(pairs, dtype=torch.int64, device=logits.device)
    banned = logits.index_put((index[:, 0], index[:, 1]), logits.new_tensor(-torch.inf))
    nothing_left = (banned == -torch.inf).all(dim=-1, keepdim=True)
    return torch.where(nothing_left, logits, banned)


def _ban_ngrams(logits: Tensor, params: Sequence["NoRepeatNgram"], histories: Sequence[History]) -> Tensor:
    pairs = zip(params, histories, strict=True)
    return ban_tokens(
        logits, [ngram_continuations(history.ids, each.no_repeat_ngram_size) for each, history in pairs]
    )


@sampler("no_repeat_ngram", HistoryStep(_ban_ngrams), place=20, source="transformers")
@dataclass(frozen=True)
class NoRepeatNgram:
    """Forbids to write the same n tokens twice."""

    no_repeat_ngram_size: int = number(
        0, Range(0, 2**31 - 1, "0 turns it off"), "Never write the same n tokens twice, prompt included."
    )


def subtract(logits: Tensor, rows: Sequence[Mapping[int, float]]) -> Tensor:
    """Logits (R, V) less each row's penalties by token id."""
    return apply_logit_bias(logits, [{token_id: -value for token_id, value in row.items()} for row in rows])


def apply_logit_bias(logits: Tensor, biases: Sequence[Mapping[int, float]]) -> Tensor:
    """Add each row's bias to the logits of the tokens that it names."""
    triples = [(row, token_id, bias) for row, each in enumerate(biases) for token_id, bias in each.items()]
    if not triples:
        return logits
    rows, ids, values = zip(*triples, strict=True)
    index = (
        torch.tensor(rows, dtype=torch.int64, device=logits.device),
        torch.tensor(ids, dtype=torch.int64, device=logits.device),
    )
    added = torch.tensor(values, dtype=logits.dtype, device=logits.device)
    return logits.index_put(index, added, accumulate=True)
