import pytest

from models.tokenizer import Tokenizer
from tests.models.tokenizers import corpus_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """The corpus's tokenizer, which takes a second to train."""
    return corpus_tokenizer()
