"""AdaDec, against the paper's loop written out over fresh prefills."""

from collections.abc import Iterator

import pytest

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.adadec import AdaDec
from app.decoding.strategies.greedy import Greedy
from app.decoding.strategies.sample import Sample
from app.engine.engine import Engine
from app.errors import ParameterError
from tests.app.decoding.calibrated import calibration
from tests.app.engine.tiny import (
    Result,
    TinyCheckpoint,
    ask,
    collect,
    fresh_logprobs,
    tiny_engine,
    tiny_model,
)

PROMPT = (3, 1, 4, 1, 5)
GREEDY = SamplingParams(temperature=0.0)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tiny_engine() as engine:
        yield engine


def run(engine: Engine, params: AdaDec, sampling: SamplingParams = GREEDY, seed: int = 0) -> Result:
    return collect(engine.submit(ask(PROMPT, params, sampling, max_tokens=14, seed=seed)))


def by_hand(threshold: float, candidates: int, lookahead: int, length: int) -> list[int]:
    ids: list[int] = list(PROMPT)
    while len(ids) < len(PROMPT) + length:
        logprobs = fresh_logprobs(ids)
        entropy = float(-(logprobs.exp() * logprobs).sum())
        best = int(logprobs.argmax())
        if entropy > threshold:
            scores: dict[int, float] = {}
            for candidate in logprobs.topk(candidates).indices.tolist():
                ahead, values = [*ids, candidate], [float(logprobs[candidate])]
                while len(values) < lookahead and len(ahead) < len(PROMPT) + length:
                    following = fresh_logprobs(ahead)
                    values.append(float(following.max()))
                    ahead.append(int(following.argmax()))
                scores[candidate] = sum(values) / len(values)
            best = max(scores, key=lambda candidate: scores[candidate])
        ids.append(best)
    return ids[len(PROMPT) :]


@pytest.mark.parametrize(("threshold", "candidates", "lookahead"), [(2.2, 3, 5), (2.8, 5, 2), (0.0, 4, 3)])
def test_it_writes_what_the_loop_of_the_paper_writes(
    engine: Engine, threshold: float, candidates: int, lookahead: int
) -> None:
    params = AdaDec(threshold=threshold, candidates=candidates, lookahead=lookahead)
    result = run(engine, params)
    assert result.only.ids == by_hand(threshold, candidates, lookahead, 14)
    reranks = [event for event in result.only.events if event.rule == "rerank"]
    assert reranks
    assert result.usage is not None
    assert result.usage.discarded_tokens == sum(int(event.detail["discarded"]) for event in reranks)
    for event in reranks:
        assert float(event.detail["entropy"]) > threshold
        assert float(event.detail["score"]) >= float(event.detail["likeliest_score"])


def test_some_token_other_than_the_likeliest_is_taken(engine: Engine) -> None:
    greedy = collect(engine.submit(ask(PROMPT, Greedy(), max_tokens=14)))
    result = run(engine, AdaDec(threshold=0.0))
    assert result.only.ids != greedy.only.ids
    assert any(event.detail["rank"] != 0 for event in result.only.events)


def test_without_a_doubt_it_is_the_request_own_sampling_at_no_further_cost(engine: Engine) -> None:
    for sampling in (GREEDY, SamplingParams(temperature=0.9)):
        sure = run(engine, AdaDec(threshold=100.0), sampling, seed=3)
        base = collect(engine.submit(ask(PROMPT, Sample(), sampling, max_tokens=14, seed=3)))
        assert sure.only.ids == base.only.ids
        assert sure.only.events == ()
        assert sure.usage is not None
        assert sure.usage.discarded_tokens == 0


def test_with_a_temperature_the_token_that_was_drawn_in_doubt_is_paid_for(engine: Engine) -> None:
    result = run(engine, AdaDec(threshold=2.2), SamplingParams(temperature=0.9), seed=3)
    assert result.usage is not None
    counted = sum(int(event.detail["discarded"]) for event in result.only.events)
    assert result.usage.discarded_tokens == counted
    assert {event.rule for event in result.only.events} == {"pause", "rerank"}


def test_one_candidate_or_no_lookahead_is_greedy(engine: Engine) -> None:
    greedy = collect(engine.submit(ask(PROMPT, Greedy(), max_tokens=14))).only.ids
    assert run(engine, AdaDec(threshold=0.0, candidates=1)).only.ids == greedy
    assert run(engine, AdaDec(threshold=0.0, lookahead=1)).only.ids == greedy


def test_the_learned_threshold_stands_in_for_one_that_is_left_out(engine: Engine) -> None:
    with Engine(TinyCheckpoint(tiny_model()), calibration=calibration(learned=2.2)) as calibrated:
        assert run(calibrated, AdaDec()).only.ids == run(engine, AdaDec(threshold=2.2)).only.ids
    with Engine(TinyCheckpoint(tiny_model()), calibration=calibration(learned=None)) as unlearned:
        with pytest.raises(ParameterError, match="learned none"):
            run(unlearned, AdaDec())
        assert run(unlearned, AdaDec(threshold=2.2)).error is None


def test_without_either_it_is_refused_before_the_first_token(engine: Engine) -> None:
    before = engine.stats().prompt_tokens
    with pytest.raises(ParameterError, match=r"no threshold.*calibration\.json.*demur calibrate"):
        run(engine, AdaDec())
    assert engine.stats().prompt_tokens == before
