"""Which split a question falls into: a quarter of all questions each, so that no two splits share one.

A corpus, which a model is trained on, gives most of its templates to training. What is only asked needs as
many problems for tuning as for testing, and a small world of questions has few.
"""

from hashlib import sha256

from models.corpora.splits import SPLITS, Split


def split_of_question(question: str) -> Split:
    """The split of a question, by its hash; white space does not count."""
    words = " ".join(question.split())
    return SPLITS[sha256(words.encode()).digest()[0] * len(SPLITS) // 256]
