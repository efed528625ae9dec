"""A tiny random model with the corpus's tokenizer, for tests of what is read from completions."""

from functools import cache

from models.decoder import Decoder
from models.tokenizer import Tokenizer
from tests.models.tiny import tiny_network
from tests.models.tokenizers import corpus_tokenizer


@cache
def story_model() -> tuple[Decoder, Tokenizer]:
    tokenizer = corpus_tokenizer()
    network = tiny_network(vocab_size=tokenizer.vocab_size)
    return Decoder(network, "story", tokenizer.end_token_id), tokenizer
