"""What a sampler remembers is that of the text as it stands, whatever was written and taken back before."""

import math

import pytest

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample
from app.decoding.strategies.base import Runnable
from tests.app.engine.tiny import Wanderer, ask, collect, tiny_engine

TAU, ETA, DECAY = 40.0, 0.1, 0.8


@pytest.mark.parametrize("strategy", [Sample(), Wanderer()], ids=["sample", "wanderer"])
def test_it_is_a_fold_over_the_tokens_of_the_text(strategy: Runnable) -> None:
    """With a tau that cuts nothing, a token's surprise is that of the model itself."""
    with tiny_engine() as engine:
        mirostat = SamplingParams(mirostat=2, mirostat_tau=TAU, mirostat_eta=ETA)
        adaptive = SamplingParams(adaptive_target=0.2, adaptive_decay=DECAY)
        streams = [
            engine.submit(ask(strategy=strategy, sampling=params, max_tokens=30, n=3))
            for params in (mirostat, adaptive)
        ]
        surprised, averaged = (collect(stream) for stream in streams)
    for answer in surprised.choices.values():
        mu = 2 * TAU
        for token in answer.tokens:
            if token.forced:
                assert token.state is None
                continue
            mu -= ETA * (-token.logprob / math.log(2) - TAU)
            assert token.state is not None
            assert token.state["mirostat"] == pytest.approx(mu, abs=1e-4)
    for answer in averaged.choices.values():
        average = 0.2
        for token in answer.tokens:
            if token.forced:
                continue
            average = DECAY * average + (1 - DECAY) * math.exp(token.logprob)
            assert token.state is not None
            assert token.state["adaptive_p"] == pytest.approx(average, abs=1e-5)
