"""From a batch's logits to its tokens: signals, policies, sampling chains, draws."""

from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import replace

from torch import Tensor

from app.decoding.core.commands import NextToken
from app.decoding.core.randomness import uniform
from app.decoding.core.signals import Distribution
from app.decoding.core.types import Token
from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.history import History, SamplerState
from app.decoding.sampling.params import SamplingParams
from app.engine.failures import broken_logits
from app.engine.probing import Probing
from app.engine.readout import Reading, read_signals, read_tokens
from app.errors import ModelFailureError, ParameterError
from probes.reader import ProbeReader

_BEGINNING: SamplerState = {}


class Sampler:
    """Draws the tokens of a batch; keeps the compiled chains while the batch's parameters stay."""

    def __init__(self, reader: ProbeReader) -> None:
        self._reader = reader
        self._chain: SamplingChain | None = None

    def draw(
        self,
        logits: Tensor,
        hidden: Mapping[int, Tensor],
        requests: Items[NextToken],
        readings: Items[Reading],
    ) -> list[Token | Exception]:
        """One token per row of logits (R, V), or what a row's sampling policy raised.

        hidden: (R, d) states by layer, those that the probes need; empty if no row wants one.
        """
        distribution = Distribution(logits)
        probing = Probing(self._reader, hidden, requests)
        params, errors = _resolve(distribution, requests, readings, probing)
        chain = self._chain
        if chain is None or chain.params != params:
            chain = self._chain = SamplingChain(params, logits.device)
        chosen = chain.choose(
            logits,
            uniforms=[_uniform(requests[row]) for row in chain.sampled],
            histories=[_history(requests[row]) for row in chain.penalised],
            coins=[_uniform(requests[row], "xtc") for row in chain.tossing],
            states=[_state(requests[row]) for row in chain.remembering],
        )
        ids = chosen.ids.tolist()
        distribution.chosen = chosen.ids
        vocab_size = logits.shape[-1]
        if max(ids) == vocab_size:
            errors |= {
                row: _nothing_to_choose(params[row]) for row, each in enumerate(ids) if each == vocab_size
            }
            # The rows are read all the same: of raw logits that are no numbers the token tells.
            ids = [min(each, vocab_size - 1) for each in ids]
            distribution.chosen = chosen.ids.clamp_max(vocab_size - 1)
        tokens = read_tokens(distribution, readings, ids, probing)
        for row, state in chosen.states.items():
            tokens[row] = replace(tokens[row], state=state)
        if not errors:
            return list(tokens)
        return [
            token if broken_logits((token,)) else errors.get(row, token) for row, token in enumerate(tokens)
        ]


def _resolve(
    distribution: Distribution, requests: Items[NextToken], readings: Items[Reading], probing: Probing
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


def require_biased_ids(params: SamplingParams, vocab_size: int) -> None:
    """Raise `ParameterError` if the logit bias names a token that the model does not have."""
    for token_id in params.logit_bias:
        if token_id >= vocab_size:
            raise ParameterError(
                f"logit_bias names token {token_id}; the model's token ids are 0 to {vocab_size - 1}.",
                param="logit_bias",
            )


def _uniform(request: NextToken, purpose: str = "") -> float:
    sequence = request.sequence
    return uniform(sequence.spec.seed, sequence.branch, sequence.position, sequence.attempt, purpose)


def _history(request: NextToken) -> History:
    return request.sequence.spec.history(request.sequence.context.ids)


def _state(request: NextToken) -> SamplerState:
    """What the sampler knew after the last token that it drew; tokens between were forced or taken."""
    states = (token.state for token in reversed(request.sequence.tokens))
    return next((state for state in states if state is not None), _BEGINNING)
