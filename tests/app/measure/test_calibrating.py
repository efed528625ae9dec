"""Measuring a model, against its distributions computed one by one."""

import statistics

import pytest

from app.measure.calibrating import Document, read_documents, summarise
from tests.app.engine.tiny import fresh_logprobs, tiny_engine

DOCUMENTS = [Document((3, 1, 4), (1, 5, 9, 2, 0)), Document((7,), (65, 66))]


def test_every_token_of_every_completion_is_read_and_none_of_a_prompt() -> None:
    counted: list[None] = []
    with tiny_engine() as engine:
        readings = read_documents(engine, DOCUMENTS, lambda: counted.append(None))
    assert len(counted) == 2
    entropies: list[float] = []
    wrong: list[bool] = []
    for document in DOCUMENTS:
        for index, token_id in enumerate(document.completion_ids):
            logprobs = fresh_logprobs([*document.prompt_ids, *document.completion_ids[:index]])
            entropies.append(float(-(logprobs.exp() * logprobs).sum()))
            wrong.append(int(logprobs.argmax()) != token_id)
    assert readings.values["entropy"] == pytest.approx(entropies, abs=1e-4)
    assert readings.wrong == wrong
    assert {len(values) for values in readings.values.values()} == {7}


def test_quantiles_are_those_of_the_standard_library() -> None:
    values = [((index * 37) % 101) ** 1.5 for index in range(60)]
    summary = summarise(values)
    assert summary.quantiles[1:-1] == pytest.approx(statistics.quantiles(values, n=100, method="inclusive"))
    assert (summary.quantiles[0], summary.quantiles[-1]) == (min(values), max(values))
    assert summary.mean == pytest.approx(statistics.fmean(values))
    assert summary.variance == pytest.approx(statistics.pvariance(values))
