"""Completions in one batch, against each prompt alone, one full forward pass per token."""

import torch

from models.complete import complete
from models.decoder import Decoder
from tests.models.tiny import tiny_network

END = 3
MODEL = Decoder(tiny_network(), "tiny", END)


def alone(prompt: list[int], max_tokens: int, stop: tuple[int, ...] = ()) -> list[int]:
    ids = list(prompt)
    while len(ids) <= MODEL.spec.context_length:  # the token after the last position is told as well
        ids.append(int(MODEL.score(ids).logits[-1].argmax()))
        if ids[-1] in (END, *stop) or len(ids) - len(prompt) == max_tokens:
            break
    return ids[len(prompt) :]


def test_rows_that_end_at_different_times_do_not_disturb_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    vocab = MODEL.spec.vocab_size
    prompts = [torch.randint(4, vocab, (1 + index % 7,), generator=generator).tolist() for index in range(40)]
    whole = [alone(prompt, 30) for prompt in prompts]
    # Every token that comes often ends a text early, so that rows leave one after the other.
    common = torch.tensor([token for ids in whole for token in ids]).bincount().topk(2).indices.tolist()
    expected = [alone(prompt, 30, tuple(common)) for prompt in prompts]
    assert len({len(ids) for ids in expected}) > 5
    assert complete(MODEL, prompts, max_tokens=30, stop=common) == expected
    assert complete(MODEL, prompts, max_tokens=30) == whole


def test_a_context_that_is_full_ends_a_text() -> None:
    context = MODEL.spec.context_length
    prompts = [[4] * (context - 1), [5] * (context - 4), [6]]
    expected = [alone(prompt, context) for prompt in prompts]
    assert complete(MODEL, prompts) == expected
    assert len(complete(MODEL, prompts)[0]) == 2
