"""Entropy-gated branching, against a beam over steps written out by hand."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.entropy_gated_branching import EntropyGatedBranching
from app.decoding.strategies.sample import Sample
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from app.errors import ParameterError, UnknownNameError
from tests.app.decoding.calibrated import calibration
from tests.app.decoding.strategies.by_hand import BIAS, PROMPT, STOP, Text, ends_step, look, write_step
from tests.app.engine.tiny import Result, TinyCheckpoint, ask, collect, tiny_model
from tests.probes.tiny import every_family

LENGTH = 16
GREEDY = SamplingParams(temperature=0.0, logit_bias={STOP: BIAS})
PROBES = every_family((STOP,), (61,), (5, 6, 7), d_model=32, last=2)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(TinyCheckpoint(tiny_model()), EngineLimits(), PROBES) as engine:
        yield engine


def run(engine: Engine, sampling: SamplingParams = GREEDY, seed: int = 0, **params: Any) -> Result:
    strategy = EntropyGatedBranching(step_ends=(".",), **params)
    return collect(engine.submit(ask(PROMPT, strategy, sampling, max_tokens=LENGTH, seed=seed)))


def by_hand(threshold: float, branches: int, width: int) -> Text:
    beams = [Text()]
    while any(len(beam.ids) < LENGTH for beam in beams):
        grown: list[Text] = []
        for beam in beams:
            start, text = len(beam.ids), beam
            group = [text]
            while len(text.ids) < LENGTH:
                entropy, candidates = look(text, branches)
                if entropy > threshold:
                    group = [write_step(candidate, start, LENGTH) for candidate in candidates]
                    break
                text = candidates[0]
                group = [text]
                if ends_step(text, start):
                    break
            grown += group
        beams = sorted(grown, key=lambda text: text.score, reverse=True)[:width]
    return beams[0]


@pytest.mark.parametrize(("threshold", "branches", "beams"), [(2.2, 3, 1), (1.5, 3, 2), (0.0, 4, 3)])
def test_it_writes_what_the_beam_by_hand_writes(
    engine: Engine, threshold: float, branches: int, beams: int
) -> None:
    result = run(engine, threshold=threshold, candidates=branches, width=beams)
    assert result.only.ids == list(by_hand(threshold, branches, beams).ids)
    rules = {event.rule for event in result.only.events}
    assert {"branch", "prune"} <= rules
    assert result.usage is not None
    discarded = sum(int(event.detail.get("discarded", 0)) for event in result.only.events)
    assert 0 < discarded <= result.usage.discarded_tokens


def test_without_a_doubt_it_is_the_request_own_sampling_at_no_further_cost(engine: Engine) -> None:
    for sampling in (GREEDY, SamplingParams(temperature=0.9)):
        sure = run(engine, sampling, seed=3, threshold=100.0, width=4)
        strategy = Sample()
        base = collect(engine.submit(ask(PROMPT, strategy, sampling, max_tokens=LENGTH, seed=3)))
        assert sure.only.ids == base.only.ids
        assert sure.only.events == ()
        assert sure.usage is not None
        assert sure.usage.discarded_tokens == 0


def test_a_probe_prunes_in_either_direction(engine: Engine) -> None:
    low, high = (
        run(engine, threshold=2.0, candidates=4, score="probe:linear", prefer=prefer).only
        for prefer in ("low", "high")
    )
    assert low.ids != high.ids
    for answer, sign in ((low, 1), (high, -1)):
        for event in answer.events:
            scores = event.detail.get("score"), event.detail.get("best_dropped_score")
            if isinstance(scores[0], float) and isinstance(scores[1], float):
                assert sign * scores[0] <= sign * scores[1]


def test_a_score_that_there_is_not_and_a_threshold_that_there_is_not_are_refused(engine: Engine) -> None:
    with pytest.raises(UnknownNameError, match="no signal 'probe:wrong'"):
        run(engine, threshold=1.0, score="probe:wrong")
    with pytest.raises(ParameterError, match="no threshold"):
        run(engine)


def test_the_calibrated_entropy_stands_in_for_a_threshold(engine: Engine) -> None:
    with Engine(TinyCheckpoint(tiny_model()), calibration=calibration(entropy_98=2.2)) as calibrated:
        assert run(calibrated).only.ids == run(engine, threshold=2.2).only.ids
