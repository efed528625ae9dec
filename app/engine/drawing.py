"""What the engine answers to the commands of a batch: a token, drawn or forced, or candidates for one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import TypeVar, cast

import torch
from torch import Tensor

from app.decoding.core.commands import Candidates, ForcedToken, NextToken, TokenCommand
from app.decoding.core.signals import Distribution
from app.decoding.core.types import Token
from app.decoding.sampling.chain import Draw, SamplingChain
from app.decoding.sampling.drawing import draw
from app.decoding.sampling.history import History, SamplerState
from app.decoding.sampling.params import SamplingParams
from app.engine.failures import broken_logits
from app.engine.reading import Probing, Reading, probing_of, read_signals, read_tokens
from app.errors import ModelFailureError, ParameterError
from models.language_model import StepOutput
from probes.reader import ProbeReader

Reply = Token | tuple[Token, ...] | Exception
Kind = TypeVar("Kind", NextToken, ForcedToken, Candidates)

_BEGINNING: SamplerState = {}


class Drawing:
    """Answers every row of a batch from its logits; keeps the compiled chain while the parameters stay.

    draw: the model's own, where it has one.

    Its methods take what the forward pass found for R rows; states are those that the probes need, none if no
    row wants a probe.
    """

    def __init__(self, reader: ProbeReader, draw: Draw = draw) -> None:
        self._reader = reader
        self._draw = draw
        self._chain: SamplingChain | None = None

    def reply(
        self,
        output: StepOutput,
        requests: Sequence[TokenCommand],
        readings: Sequence[Reading],
    ) -> list[Reply]:
        """A reply per row: a token, candidates, or what a row's sampling policy raised."""
        if set(map(type, requests)) == {NextToken}:
            return list(self.draw(output, cast(Sequence[NextToken], requests), readings))
        replies: dict[int, Reply] = {}
        if drawing := _of_kind(NextToken, requests):
            part = _part(drawing, output, readings)
            replies.update(zip(drawing, self.draw(*part), strict=True))
        if forcing := _of_kind(ForcedToken, requests):
            part = _part(forcing, output, readings)
            replies.update(zip(forcing, self.read_forced(*part), strict=True))
        if looking := _of_kind(Candidates, requests):
            part = _part(looking, output, readings)
            replies.update(zip(looking, self.read_candidates(*part), strict=True))
        return [replies[row] for row in range(len(requests))]

    def draw(
        self,
        output: StepOutput,
        requests: Sequence[NextToken],
        readings: Sequence[Reading],
    ) -> list[Token | Exception]:
        """One token per row, or what a row's sampling policy raised."""
        logits = output.logits
        distribution = Distribution(logits, measures=output.measures)
        probing = probing_of(self._reader, output, requests, readings)
        params, errors = _resolve(distribution, requests, readings, probing)
        chain = self._chain
        if chain is None or chain.params != params:
            chain = self._chain = SamplingChain(params, logits.device, self._draw)
        chosen = chain.choose(
            logits,
            uniforms=[requests[row].sequence.uniform() for row in chain.sampled],
            histories=_histories(chain, requests) if chain.penalised else (),
            coins=[requests[row].sequence.uniform("xtc") for row in chain.tossing] if chain.tossing else (),
            states=[_state(requests[row]) for row in chain.remembering] if chain.remembering else (),
        )
        # Rows from which nothing could be chosen are read all the same: of raw logits that are no numbers
        # their token tells.
        vocab_size = logits.shape[-1]
        distribution.chosen = chosen.ids.clamp_max(vocab_size - 1)
        tokens = read_tokens(distribution, readings, chosen.ids, probing)
        for row, state in chosen.states.items():
            tokens[row] = replace(tokens[row], state=state)
        for row, token in enumerate(tokens):
            if token.id == vocab_size:
                errors[row] = _nothing_to_choose(params[row])
        if not errors:
            return list(tokens)
        return [token if broken_logits(token) else errors.get(row, token) for row, token in enumerate(tokens)]

    def read_forced(
        self,
        output: StepOutput,
        requests: Sequence[ForcedToken],
        readings: Sequence[Reading],
    ) -> list[Token]:
        """The token that a strategy puts into each row, read as if it had been drawn."""
        ids = torch.tensor([request.token_id for request in requests], device=output.logits.device)
        probing = probing_of(self._reader, output, requests, readings)
        distribution = Distribution(output.logits, ids, output.measures)
        return read_tokens(distribution, readings, ids, probing, forced=True)

    def read_candidates(
        self,
        output: StepOutput,
        requests: Sequence[Candidates],
        readings: Sequence[Reading],
    ) -> list[tuple[Token, ...]]:
        """As many tokens as each row asks for, likeliest first, each read as if it had been drawn; of equals,
        the lowest id. Fewer where the others have probability 0."""
        logits = output.logits
        count = min(max(request.count for request in requests), logits.shape[-1])
        chain = SamplingChain([request.sampling for request in requests], logits.device)
        after = chain.adjust(logits, _histories(chain, requests))
        ids, values = likeliest(after, count)
        adjusted = (values - after.logsumexp(dim=-1, keepdim=True)).flatten()
        rows = [row for row in range(len(requests)) for _ in range(count)]
        read = [readings[row] for row in rows]
        repeated = output.at(torch.arange(len(requests), device=logits.device).repeat_interleave(count))
        probing = probing_of(self._reader, repeated, [requests[row] for row in rows], read)
        chosen = ids.flatten()
        distribution = Distribution(repeated.logits, chosen, repeated.measures)
        tokens = read_tokens(distribution, read, chosen, probing, adjusted=adjusted)
        return [
            # What is no number is passed on, for the caller to notice.
            tuple(token for token in tokens[row * count :][:count] if token.adjusted != -inf)[: request.count]
            for row, request in enumerate(requests)
        ]


def likeliest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Ids and logits (R, count) of the highest logits, in order."""
    values, ids = logits.topk(count, dim=-1)
    if count == 1:
        # topk promises no order among equals.
        return logits.argmax(dim=-1, keepdim=True), values
    by_id = ids.argsort(dim=-1)
    ids, values = ids.gather(-1, by_id), values.gather(-1, by_id)
    order = values.argsort(dim=-1, descending=True, stable=True)
    return ids.gather(-1, order), values.gather(-1, order)


def require_biased_ids(params: SamplingParams, vocab_size: int) -> None:
    """Raise `ParameterError` if the logit bias names a token that the model does not have."""
    for token_id in params.logit_bias:
        if token_id >= vocab_size:
            raise ParameterError(
                f"logit_bias names token {token_id}; the model's token ids are 0 to {vocab_size - 1}.",
                param="logit_bias",
            )


def _of_kind(kind: type[Kind], requests: Sequence[TokenCommand]) -> dict[int, Kind]:
    return {row: each for row, each in enumerate(requests) if isinstance(each, kind)}


def _part(
    rows: Mapping[int, Kind], output: StepOutput, readings: Sequence[Reading]
) -> tuple[StepOutput, list[Kind], list[Reading]]:
    """What belongs to some of the rows."""
    index = torch.tensor(list(rows), device=output.logits.device)
    return output.at(index), list(rows.values()), [readings[row] for row in rows]


def _resolve(
    distribution: Distribution,
    requests: Sequence[NextToken],
    readings: Sequence[Reading],
    probing: Probing | None,
) -> tuple[list[SamplingParams], dict[int, Exception]]:
    """Every row's parameters; policies are asked for theirs, and those that raise are noted."""
    params: list[SamplingParams] = []
    errors: dict[int, Exception] = {}
    signals: list[dict[str, float]] | None = None
    for row, request in enumerate(requests):
        sampling = request.sampling
        if isinstance(sampling, SamplingParams):
            params.append(sampling)
            continue
        if signals is None:
            signals = read_signals(distribution, readings, probing)
        try:
            chosen = sampling(signals[row])
            require_biased_ids(chosen, distribution.logits.shape[-1])
        except Exception as error:
            errors[row], chosen = error, request.sequence.sampling
        params.append(chosen)
    return params, errors


def _nothing_to_choose(params: SamplingParams) -> ModelFailureError:
    """For logits that are numbers, but not any more after the row's chain."""
    return ModelFailureError(
        f"No token could be chosen: what the samplers make of the model's logits is not finite. They did "
        f"{params.effective()}; ask for less extreme values."
    )


def _histories(chain: SamplingChain, requests: Sequence[NextToken | Candidates]) -> list[History]:
    sequences = [requests[row].sequence for row in chain.penalised]
    return [sequence.spec.history(sequence.context.ids) for sequence in sequences]


def _state(request: NextToken) -> SamplerState:
    """What the sampler knew after the last token that it drew; tokens between were forced or taken."""
    states = (token.state for token in reversed(request.sequence.tokens))
    return next((state for state in states if state is not None), _BEGINNING)
