"""Scores of a given text, computed one by one from their definition: what a server must agree with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from models.language_model import LanguageModel
from probes.arrays import Floats
from probes.inputs import CURRENT, signal_features, token_signals
from probes.position import split_steps
from probes.probe import Probe


@torch.inference_mode()
def score_text(
    model: LanguageModel[Any],
    prompt_ids: Sequence[int],
    completion_ids: Sequence[int],
    probes: Sequence[Probe],
) -> list[dict[str, float]]:
    """For each token of a completion, the calibrated probabilities of the probes read there, by name.

    Raises:
        SpecError, CapacityError: a layer that the model does not have, or a text that does not fit it.
    """
    if not completion_ids:
        return []
    layers = sorted({layer for probe in probes for layer in probe.layers})
    output = model.score([*prompt_ids, *completion_ids][:-1], layers)
    first = len(prompt_ids) - 1
    chosen = torch.tensor(list(completion_ids), device=output.logits.device)
    signals = token_signals(output.logits[first:], chosen)
    hidden = {layer: states[first:].cpu().double().numpy() for layer, states in output.hidden.items()}
    scores: list[dict[str, float]] = [{} for _ in completion_ids]
    for probe in probes:
        states = np.concatenate(
            [hidden[layer] for layer in probe.layers] or [np.zeros((len(scores), 0))], axis=1
        )
        for number, step in split_steps(completion_ids, probe.position.closing):
            for at in step:
                before = completion_ids[step.start : at]
                if not probe.position.is_read(before, completion_ids[at], number):
                    continue
                if probe.tokens and completion_ids[at] not in probe.tokens:
                    continue
                inputs = _inputs(probe, states, signals, range(step.start, at), at, number)
                scores[at][probe.name] = float(probe.scores(inputs[None], completion_ids[at : at + 1])[0])
    return scores


def _inputs(
    probe: Probe, states: Floats, signals: Floats, earlier: Sequence[int], at: int, step: int
) -> Floats:
    """(inputs,) of one reading at token `at`, after the tokens `earlier` of the same step."""
    pooled = states[[*earlier, at]].mean(axis=0) if probe.pooling == "mean" else states[at]
    if not probe.signals:
        return pooled
    return np.concatenate(
        (pooled, signal_features(signals[list(earlier)], signals[at, : len(CURRENT)], step))
    )
