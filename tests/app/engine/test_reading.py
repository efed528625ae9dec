"""Readings of a batch in which every row asks for something else."""

import pytest
import torch

from app.decoding.core.signals import SIGNALS, Distribution
from app.engine.reading import Reading, read_signals, read_tokens


def test_each_row_gets_what_it_asked_for_and_nothing_else() -> None:
    logits = torch.randn(4, 30, generator=torch.Generator().manual_seed(2)) * 2
    ids = [3, 9, 0, 29]
    readings = [
        Reading(("entropy", "surprisal"), 2),
        Reading(),
        Reading(("margin",), 5),
        Reading(("surprisal", "entropy"), 99),
    ]
    tokens = read_tokens(Distribution(logits, torch.tensor(ids)), readings, torch.tensor(ids))
    log_probs = logits.double().log_softmax(-1)
    for row, (token, reading) in enumerate(zip(tokens, readings, strict=True)):
        assert token.id == ids[row]
        assert token.logprob == pytest.approx(log_probs[row, ids[row]].item(), abs=1e-5)
        assert tuple(token.signals) == reading.signals
        for name, value in token.signals.items():
            alone = Distribution(logits[row : row + 1], torch.tensor(ids[row : row + 1]))
            assert value == pytest.approx(SIGNALS[name].compute(alone).item(), abs=1e-5)
        order = sorted(range(30), key=lambda i, row=row: -logits[row, i].item())
        assert [each.token_id for each in token.top] == order[: reading.top_logprobs]
        for each in token.top:
            assert each.logprob == pytest.approx(log_probs[row, each.token_id].item(), abs=1e-5)


def test_before_the_choice_there_is_no_surprisal() -> None:
    readings = [Reading(("surprisal", "entropy")), Reading(("margin",))]
    first, second = read_signals(Distribution(torch.zeros(2, 8)), readings)
    assert first == {"entropy": pytest.approx(2.0794415)}
    assert second == {"margin": 0.0}
