"""A tiny random model with the corpus's tokenizer, for tests of what is read from completions."""

from functools import cache

from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.tokenizer import igsm_tokenizer
from models.decoder import Decoder
from models.tokenizer import Tokenizer
from tests.models.tiny import tiny_network


@cache
def story_model() -> tuple[Decoder, Tokenizer]:
    tokenizer = igsm_tokenizer(IgsmSpec())
    network = tiny_network(vocab_size=tokenizer.vocab_size)
    return Decoder(network, "story", tokenizer.end_token_id), tokenizer
