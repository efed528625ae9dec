"""Several choices of one beam search: its best texts in their order, and no more than there are."""

import pytest

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.beam import Beam
from app.engine.engine import Engine
from app.errors import ParameterError
from tests.app.decoding.strategies.test_beam import PROMPT, engine
from tests.app.engine.tiny import TinyCheckpoint, ask, collect, tiny_model

__all__ = ["engine"]


def test_choices_of_which_there_are_none_decline(engine: Engine) -> None:
    """Only two tokens are possible, and only one position."""
    sampling = SamplingParams(logit_bias=dict.fromkeys((65, 66), 100.0))
    strategy = Beam(width=4, groups=2, diversity_penalty=0.01)
    result = collect(engine.submit(ask(PROMPT, strategy, sampling, max_tokens=1, n=4)))
    endings = [answer.done and answer.done.finish_reason for answer in result.choices.values()]
    texts = [answer.text for answer in result.choices.values()]
    assert endings == ["length", "length", "abstain", "abstain"]
    assert sorted(texts) == ["", "", "A", "B"]
    assert dict(result.choices[2].events[-1].detail) | {"discarded": 0} == {
        "discarded": 0,
        "reason": "beam: fewer texts than choices",
        "texts": 2,
        "place": 3,
    }


def test_what_several_choices_search_is_computed_once() -> None:
    with Engine(TinyCheckpoint(tiny_model())) as engine:
        strategy = Beam(width=4)
        result = collect(engine.submit(ask(PROMPT, strategy, max_tokens=10, n=3)))
        stats = engine.stats()
    assert len({tuple(answer.ids) for answer in result.choices.values()}) == 3
    assert stats.forward_rows == 3 * (1 + 9 * 4)
    assert stats.forward_rows - stats.shared_rows == 1 + 9 * 4


def test_more_choices_than_beams_are_refused(engine: Engine) -> None:
    with pytest.raises(ParameterError, match=r"n is 5, .* a width of at least 5") as raised:
        engine.submit(ask(PROMPT, Beam(width=4), n=5))
    assert raised.value.param == "n"
