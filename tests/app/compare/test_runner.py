"""Comparisons that are really run, on random weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.compare.outcome import LatencySample, Outcome
from app.compare.runner import Comparison
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Sample
from app.decoding.strategies.greedy import Greedy
from app.engine.engine import Engine
from app.engine.types import GenerationRequest
from app.errors import ComparisonFailedError, ComparisonFolderError, EngineStoppedError, RequestError
from app.measure.asking import collect
from models.checkpoint import LoadedCheckpoint
from tests.app.compare.running import (
    BEAM,
    GREEDY,
    ORACLE,
    VOTE,
    WARM,
    engine_for,
    given,
    lasting,
    make_spec,
    only,
    run,
)


def test_an_outcome_is_what_the_engine_answers_to_the_same_request(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    outcomes = run(checkpoint, make_spec(GREEDY, WARM), tmp_path / "run")
    assert len(outcomes) == 12
    with engine_for(checkpoint) as engine:
        prompts = {
            each.id: each.prompt for each in Comparison(only(engine, checkpoint), make_spec()).problems
        }
        for outcome in (each for each in outcomes if each.arm == "warm"):
            answer = collect(
                engine.submit(
                    GenerationRequest(
                        tuple(checkpoint.tokenizer.encode(prompts[outcome.problem])),
                        Sample(),
                        SamplingParams(temperature=0.7),
                        StoppingParams(12),
                        seed=outcome.seed,
                    )
                )
            )
            assert outcome.text == answer.text
            assert outcome.completion_tokens == answer.usage.completion_tokens
            assert outcome.finish_reason == answer.done.finish_reason


def test_an_arm_gets_the_same_alone_together_and_whatever_the_engine_holds(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    arms = (GREEDY, WARM, VOTE, BEAM, ORACLE)
    together = lasting(run(checkpoint, make_spec(*arms), tmp_path / "together", rows=16))
    assert len(together) == 30
    narrow = lasting(run(checkpoint, make_spec(*reversed(arms)), tmp_path / "narrow", rows=2))
    assert narrow == together
    for arm in arms:
        alone = lasting(run(checkpoint, make_spec(arm), tmp_path / str(arm["name"])))
        assert alone == {key: value for key, value in together.items() if key[1] == arm["name"]}
    seeds = {(key[0], value["seed"]) for key, value in together.items()}
    assert len(seeds) == 6, "a problem has the same seed in every arm"


def test_the_shared_prompt_is_computed_once(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    arms = [dict(WARM) | {"name": f"t{number}", "temperature": 0.5 + number / 10} for number in range(4)]
    spec = make_spec(*arms, count=12)
    with engine_for(checkpoint, rows=16) as engine:
        comparison = Comparison(only(engine, checkpoint), spec)
        with comparison.folder(tmp_path / "run") as folder:
            comparison.run(folder)
            outcomes = folder.outcomes
        stats = engine.stats()
    every_time = sum(outcome.prompt_tokens for outcome in outcomes)
    # A quarter, were it not for a prompt whose rows were all taken by others before its last arm began.
    assert every_time / 4 - 12 <= stats.prefill_tokens < every_time / 2


@pytest.mark.parametrize("arm", [GREEDY, WARM, VOTE, BEAM, ORACLE], ids=lambda arm: str(arm["name"]))
def test_forward_rows_are_what_the_engine_computes_for_the_answer_alone(
    checkpoint: LoadedCheckpoint, tmp_path: Path, arm: Mapping[str, Any]
) -> None:
    spec = make_spec(arm, count=1, ops=(4, 4), max_tokens=24)
    with engine_for(checkpoint, rows=16) as engine:
        comparison = Comparison(only(engine, checkpoint), spec)
        with comparison.folder(tmp_path / "run") as folder:
            comparison.run(folder)
            [outcome] = folder.outcomes
        stats = engine.stats()
    assert stats.drawn_tokens == outcome.completion_tokens + outcome.discarded_tokens
    # Every draw has one row of logits; the first has the whole prompt for its row, if nothing else prefills.
    assert outcome.forward_rows == outcome.prompt_tokens + stats.forward_rows - 1
    assert stats.prefill_tokens >= outcome.prompt_tokens


def test_a_run_goes_on_with_exactly_what_is_missing(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    spec = make_spec(GREEDY, WARM, VOTE, latency_problems=2)
    whole = run(checkpoint, spec, tmp_path / "whole")
    with engine_for(checkpoint) as engine:
        comparison = Comparison(only(engine, checkpoint), spec)
        assert comparison.total == len(whole) == 18
        with comparison.folder(tmp_path / "run") as folder:
            assert not comparison.run(folder, cancelled=lambda: len(folder.outcomes) >= 7)
            assert 7 <= len(folder.outcomes) < 18
            first = list(folder.outcomes)
        later: list[Outcome] = []
        with comparison.folder(tmp_path / "run") as folder:
            assert not comparison.run(folder, later.append, cancelled=lambda: len(folder.latency) >= 1)
            assert len(folder.latency) == 1
        samples: list[LatencySample] = []
        with comparison.folder(tmp_path / "run") as folder:
            assert comparison.run(folder, later.append, samples.append)
            assert comparison.run(folder, later.append, samples.append), "complete: there is nothing to do"
            assert len(folder.latency) == 6
    assert len(first) + len(later) == 18
    assert len(samples) == 5
    assert lasting([*first, *later]) == lasting(whole)


def test_latency_is_measured_one_request_at_a_time(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    spec = make_spec(GREEDY, VOTE, latency_problems=2)
    with engine_for(checkpoint) as engine:
        comparison = Comparison(only(engine, checkpoint), spec)
        with comparison.folder(tmp_path / "run") as folder:
            busy: list[int] = []
            comparison.run(folder, on_latency=lambda _: busy.append(engine.stats().active_requests))
            assert busy == [0, 0, 0, 0]
            assert [sample.key for sample in folder.latency] == [
                (problem.id, arm) for problem in comparison.problems[:2] for arm in ("greedy", "vote")
            ]
            for sample in folder.latency:
                assert 0 < sample.first_token_s <= sample.latency_s
                if sample.arm == "greedy":
                    assert sample.first_token_s < sample.latency_s, "it is written token by token"


def test_signals_are_kept_with_the_tokens_of_the_text(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    spec = make_spec(GREEDY, VOTE, signals=["entropy", "margin"], count=3)
    for outcome in run(checkpoint, spec, tmp_path / "run"):
        assert outcome.tokens is not None
        assert "".join(token.text for token in outcome.tokens) == outcome.text
        assert all(list(token.signals) == ["entropy", "margin"] for token in outcome.tokens)


def test_given_problems_without_answers_are_not_judged(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    items = [{"prompt": "Boats are 3."}, {"prompt": "Kites are 2.", "answer": "Kites"}]
    spec = make_spec(GREEDY, **given(items, reading={"rule": "regex", "pattern": r"\w+"}))
    outcomes = {outcome.problem: outcome for outcome in run(checkpoint, spec, tmp_path / "run")}
    assert (outcomes["0"].correct, outcomes["0"].solved, outcomes["0"].expected) == (None, None, None)
    assert outcomes["1"].correct is (outcomes["1"].answer == "Kites")
    assert outcomes["1"].solved is None


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        (
            {"arms": [dict(GREEDY), {"name": "r", "strategy": {"kind": "retry_upon_regret"}}]},
            "arms[1].strategy",
            "arm 'r': There is no signal 'probe:step_error'",
        ),
        (
            {"arms": [{"name": "e", "strategy": {"kind": "eager"}}]},
            "arms[0].strategy",
            "arm 'e': strategy 'eager' was given no threshold",
        ),
        ({"arms": [dict(GREEDY) | {"logit_bias": {"9999": 1}}]}, "arms[0].logit_bias", "arm 'greedy'"),
        ({"signals": ["entropi"]}, "signals", "Did you mean 'entropy'"),
        (
            given([{"prompt": "ok"}, {"prompt": "Boats are 3. " * 60}]),
            "problems",
            "problem '1': The prompt has",
        ),
    ],
)
def test_what_the_engine_would_refuse_is_refused_before_anything_runs(
    checkpoint: LoadedCheckpoint, fields: dict[str, Any], param: str, words: str
) -> None:
    with engine_for(checkpoint) as engine:
        with pytest.raises(RequestError) as caught:
            Comparison(only(engine, checkpoint), make_spec(**fields))
        assert words in str(caught.value)
        assert caught.value.param == param
        assert engine.stats().prompt_tokens == 0


class Stumbling:
    """Fails on long problems."""

    needs = frozenset[str]()

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.next()
        if len(sequence.spec.prompt_ids) > 30:
            raise RuntimeError("stumbled")
        return sequence


def test_an_arm_that_fails_is_named_and_what_was_computed_is_kept(
    checkpoint: LoadedCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(WARM, GREEDY, count=9)
    with engine_for(checkpoint, rows=2) as engine:
        comparison = Comparison(only(engine, checkpoint), spec)
        with monkeypatch.context() as patch, comparison.folder(tmp_path / "run") as folder:
            patch.setattr(Greedy, "decode", Stumbling.decode)
            with pytest.raises(
                ComparisonFailedError, match=r"arm 'greedy' failed on problem '\d/\d'.*stumbled"
            ):
                comparison.run(folder)
            assert engine.stats().requests_failed == 1
            before = len(folder.outcomes)
        with comparison.folder(tmp_path / "run") as folder:
            assert len(folder.outcomes) == before
            assert comparison.run(folder)
            assert len({outcome.key for outcome in folder.outcomes}) == 18


def test_a_stopped_engine_ends_the_run_and_leaves_the_folder_whole(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    spec = make_spec(WARM, count=30)
    engine: Engine = engine_for(checkpoint, rows=2)
    with engine:
        comparison = Comparison(only(engine, checkpoint), spec)
        with comparison.folder(tmp_path / "run") as folder:
            with pytest.raises(EngineStoppedError):
                comparison.run(folder, on_outcome=lambda _: engine.stop())
            assert folder.outcomes
    assert len(run(checkpoint, spec, tmp_path / "run")) == 30


@pytest.mark.parametrize(
    ("drawn", "other"), [('"expected":"2"', '"expected":"3"'), ('"problem":"b"', '"problem":"c"')]
)
def test_a_run_on_other_problems_is_not_gone_on_with(
    checkpoint: LoadedCheckpoint, tmp_path: Path, drawn: str, other: str
) -> None:
    items = [{"id": "a", "prompt": "1 + 0 =", "answer": "1"}, {"id": "b", "prompt": "1 + 1 =", "answer": "2"}]
    spec = make_spec(GREEDY, **given(items))
    run(checkpoint, spec, tmp_path / "run")
    outcomes = tmp_path / "run" / "outcomes.jsonl"
    assert drawn in outcomes.read_text()
    outcomes.write_text(outcomes.read_text().replace(drawn, other))
    with pytest.raises(ComparisonFolderError, match="another than when the run was begun"):
        run(checkpoint, spec, tmp_path / "run")
