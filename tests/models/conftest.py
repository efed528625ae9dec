import pytest

from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.tokenizer import igsm_tokenizer
from models.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """The corpus's tokenizer, which takes a second to train."""
    return igsm_tokenizer(IgsmSpec())
