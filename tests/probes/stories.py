"""A tiny random model with the corpus's tokenizer, for tests of what is read from completions."""

from functools import cache

from models.corpora.registry import corpus_named
from models.decoder import Decoder
from models.tokenizer import Tokenizer
from tests.models.tiny import tiny_network


@cache
def story_model() -> tuple[Decoder, Tokenizer]:
    tokenizer = corpus_named().make_tokenizer()
    network = tiny_network(vocab_size=tokenizer.vocab_size)
    return Decoder(network, "story", tokenizer.end_token_id), tokenizer
