"""Bits of knowledge in a network, by Definition 4.3 of Physics of Language Models 3.3 (arXiv 2404.05405)."""

from math import log, log2

import numpy as np

from app.compare.resampling import resampled_means
from app.compare.results import Estimate
from app.compare.statistics import interval
from app.findings.telling import Floats, Told
from models.corpora.bios.values import ATTRIBUTES, NAMES, VALUES
from models.gpt2 import GPT2

NAME_BITS = log2(NAMES)
VALUE_BITS = sum(log2(len(VALUES[attribute])) for attribute in ATTRIBUTES)


def bits_of_people(told: Told) -> Floats:
    """[people] log2(N0 / e^p1) + log2(S0 / e^p2), with p1 and p2 the nats of name and values.

    N0 is the number of names that there could be, S0 that of lists of values. Who knows nothing has none.
    """
    return NAME_BITS + VALUE_BITS - (told.name_nats + told.value_nats) / log(2)


def most_bits(people: int) -> float:
    """Bits of a person to whoever knows all: every value, and of the name which of the people it is."""
    return NAME_BITS - log2(people) + VALUE_BITS


def parameters_of(network: GPT2, tokens: frozenset[int]) -> int:
    """Parameters, less those of the embedding of tokens that no text has."""
    config = network.config
    unused = config.vocab_size - len(tokens)
    return sum(p.numel() for p in network.parameters()) - unused * config.d_model


def per_parameter(bits: Floats, parameters: int) -> Estimate:
    """All people's bits by the number of parameters, with its interval over people."""
    rate = len(bits) / parameters
    return interval(float(bits.mean()) * rate, resampled_means(bits[:, None])[:, 0] * rate)


def lost(whole: Floats, left: Floats) -> Estimate:
    """Share of the bits that is gone; both [people], and resampled together."""
    drawn = resampled_means(np.stack((whole, left), axis=1))
    return interval(1 - float(left.mean() / whole.mean()), 1 - drawn[:, 1] / drawn[:, 0])
