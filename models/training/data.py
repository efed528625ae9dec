"""Batches of a corpus as tensors: a pure function of config, step and rank."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random

from models.corpora.corpus import DrawnProblem
from models.tokenizer import END_OF_TEXT, Tokenizer
from models.training.config import PretrainConfig
from models.training.packing import Batch, Document, pack

_PHRASES = 2**16
"""So many are remembered: more than any corpus of fixed phrases has."""


def batch_source(
    config: PretrainConfig, tokenizer: Tokenizer, rank: int, processes: int
) -> Callable[[int], Batch]:
    """A function from step to this rank's batch of training problems."""
    encode = lru_cache(_PHRASES)(tokenizer.encode)
    end = tokenizer.phrase_id(END_OF_TEXT)

    def ids(phrases: Sequence[str]) -> list[int]:
        return [token_id for phrase in phrases for token_id in encode(phrase)]

    def document(problem: DrawnProblem) -> Document:
        found = ids(problem.problem_phrases)
        weights = [config.prompt_weight] * len(found)
        for number, phrase in enumerate(problem.solution_phrases):
            tokens = encode(phrase)
            found += tokens
            weights += [0.0 if number in problem.unlearnt else 1.0] * len(tokens)
        return [*found, end], [*weights, 1.0]

    def batch(step: int) -> Batch:
        random = Random(f"{config.seed}/{step}/{rank}")
        weights = config.op_weights_at(step)
        ops, shares = list(weights), list(weights.values())

        def draw(random: Random) -> Document:
            return document(config.corpus.draw(random, "train", random.choices(ops, shares)[0]))

        return pack(draw, random, config.rows // processes, config.row_length)

    return batch
