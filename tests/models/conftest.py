import pytest

from models.corpora.registry import corpus_named
from models.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """The corpus's tokenizer, which takes a second to train."""
    return corpus_named().make_tokenizer()
