"""The tokenizer of the corpus as it is by default, which takes a second to train."""

from functools import cache

from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.tokenizer import igsm_tokenizer
from models.tokenizer import Tokenizer


@cache
def corpus_tokenizer() -> Tokenizer:
    """One for all tests of a process; nothing changes it."""
    return igsm_tokenizer(IgsmSpec())
