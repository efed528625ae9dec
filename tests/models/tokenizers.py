"""The tokenizer of the corpus as it is by default, which takes a second to train."""

from functools import cache

from models.corpora.registry import corpus_named
from models.tokenizer import Tokenizer


@cache
def corpus_tokenizer() -> Tokenizer:
    """One for all tests of a process; nothing changes it."""
    return corpus_named().make_tokenizer()
