"""Batches of a corpus as tensors: a pure function of config, step and rank."""

from collections.abc import Callable
from random import Random

from models.corpora.igsm import text
from models.corpora.igsm.dataset import draw_in_split
from models.corpora.igsm.graph import Problem
from models.tokenizer import END_OF_TEXT, Tokenizer
from models.training.config import PretrainConfig
from models.training.packing import Batch, Document, pack


def batch_source(
    config: PretrainConfig, tokenizer: Tokenizer, rank: int, processes: int
) -> Callable[[int], Batch]:
    """A function from step to this rank's batch of training problems."""
    spec = config.corpus
    ids = {phrase: tokenizer.phrase_id(phrase) for phrase in text.vocabulary(spec)}
    end = tokenizer.phrase_id(END_OF_TEXT)

    def document(problem: Problem) -> Document:
        prompt = [ids[phrase] for phrase in text.problem_phrases(problem)]
        solution = [ids[phrase] for phrase in text.solution_phrases(problem)]
        return [*prompt, *solution, end], len(prompt)

    def batch(step: int) -> Batch:
        random = Random(f"{config.seed}/{step}/{rank}")
        weights = config.op_weights_at(step)
        ops, shares = list(weights), list(weights.values())

        def draw(random: Random) -> Document:
            return document(draw_in_split(random, spec, "train", random.choices(ops, shares)[0]))

        return pack(draw, random, config.rows // processes, config.row_length, config.prompt_weight)

    return batch
