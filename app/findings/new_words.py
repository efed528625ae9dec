"""A network that goes on with a tokenizer that has other words than the one it was trained with."""

from dataclasses import replace

import torch

from models.gpt2 import GPT2
from models.tokenizer import Tokenizer


def with_words_of(network: GPT2, before: Tokenizer, after: Tokenizer) -> GPT2:
    """The same network, its embeddings moved to the ids of another tokenizer.

    Tokens that it has not seen begin with the mean of all embeddings.
    """
    made = GPT2(replace(network.config, vocab_size=after.vocab_size))
    state = dict(network.state_dict())
    known = {before.token_bytes(token): token for token in range(before.vocab_size)}
    old = state["token_embedding.weight"]
    rows = [known.get(after.token_bytes(token)) for token in range(after.vocab_size)]
    state["token_embedding.weight"] = torch.stack(
        [old.mean(dim=0) if row is None else old[row] for row in rows]
    )
    made.load_state_dict(state)
    return made
