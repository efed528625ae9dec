"""Probes in the engine, against their definition on the finished text."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence as Text
from app.decoding.core.types import Token
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, Sample
from app.decoding.strategies.base import Runnable
from app.engine.engine import Engine
from app.engine.types import EngineLimits, GenerationRequest
from app.errors import ParameterError, UnknownNameError
from models.decoder import Decoder, SlotCache
from models.language_model import Integers, LanguageModel, ModelSpec, PrefillRow, StepOutput
from probes.reference_scores import score_text
from tests.app.engine.tiny import Answer, TinyCheckpoint, Wanderer, ask, collect, tiny_model
from tests.probes.tiny import every_family, positions, random_probe

CLOSING, MARKERS, TOKENS = range(1, 250, 5), range(2, 250, 5), range(3, 250, 5)
PROBES = every_family(CLOSING, MARKERS, TOKENS, d_model=32, last=2)
ALL = tuple(f"probe:{probe.name}" for probe in PROBES)


class Restless:
    """Writes long texts by rewinds, forks and forced tokens in the middle of steps, and reads probes."""

    needs: frozenset[str] = frozenset({"probe:pooled_every"})

    async def decode(self, sequence: Text) -> Text:
        for round_ in range(4):
            await sequence.extend(max_tokens=6)
            if sequence.finished:
                break
            if sequence.tokens[-1].signals["probe:pooled_every"] > 0.4:
                sequence.rewind(sequence.position - 3, "doubt")
            if round_ == 1:
                await sequence.force([65, 66, 67])
            left, right = sequence.fork(2)
            await gather(left.extend(max_tokens=5), right.extend(max_tokens=3))
            sequence = left if round_ % 2 else right
            if sequence.finished:
                break
        return sequence


def engine(model: LanguageModel[Any] | None = None, **limits: Any) -> Engine:
    return Engine(TinyCheckpoint(model or tiny_model()), EngineLimits(**limits), PROBES)


def request(index: int) -> GenerationRequest:
    strategies: Sequence[Runnable] = (
        Sample(),
        Greedy(),
        Restless(),
        Wanderer(),
    )
    return ask(
        [(index * 31 + i * 7) % 250 + 1 for i in range(3 + index % 20)],
        strategies[index % 4],
        SamplingParams(temperature=0.8 if index % 3 else 1.2),
        max_tokens=38,
        seed=index,
        # Some ask for a few, some for none, so that rows of one batch differ.
        signals=(ALL, ("entropy", ALL[3], ALL[6]), ALL, ("margin",), ALL)[index % 5],
        top_logprobs=index % 2,
    )


def probe_scores(token: Token) -> dict[str, float]:
    return {
        name.removeprefix("probe:"): value
        for name, value in token.signals.items()
        if name.startswith("probe:")
    }


def require_defined_scores(asked: GenerationRequest, answer: Answer) -> int:
    """Check every score of an answer; how many there were."""
    names = {name for name in (*asked.signals, *asked.strategy.needs) if name.startswith("probe:")}
    wanted = [probe for probe in PROBES if f"probe:{probe.name}" in names]
    expected = score_text(tiny_model(), asked.prompt_ids, answer.ids, wanted)
    for token, scores in zip(answer.tokens, expected, strict=True):
        assert probe_scores(token) == pytest.approx(scores, abs=1e-4)
    return sum(map(len, expected))


@pytest.mark.parametrize("max_rows", [4, 40])
def test_scores_alone_and_among_32_others_are_those_of_the_definition(
    model: LanguageModel[Any], max_rows: int
) -> None:
    requests = [request(index) for index in range(33)]
    with engine(model, max_rows=max_rows) as running:
        streams = [running.submit(each) for each in requests]
        together = [collect(stream).only for stream in streams]
        alone = [collect(running.submit(each)).only for each in requests[:6]]
    read = 0
    for asked, answer in zip(requests, together, strict=True):
        read += require_defined_scores(asked, answer)
    for asked, answer in zip(requests[:6], alone, strict=True):
        require_defined_scores(asked, answer)
    assert read > 500
    assert any(token.forced for answer in together for token in answer.tokens)
    assert any(event.rule == "doubt" for answer in together for event in answer.events)


def test_a_token_has_only_the_probes_that_are_read_there() -> None:
    asked = ask(max_tokens=30, signals=("entropy", "probe:linear", "probe:answer"), seed=2)
    with engine() as running:
        answer = collect(running.submit(asked)).only
    assert require_defined_scores(asked, answer) > 1
    for index, token in enumerate(answer.tokens):
        assert ("probe:answer" in token.signals) == (index == 0)
        assert "entropy" in token.signals
        # What a probe sees besides is not shown unasked.
        assert set(token.signals) <= {"entropy", "probe:linear", "probe:answer"}
        assert token.trace is not None


class Watched(Decoder):
    """Notes the layers that each pass is asked for."""

    def __init__(self, model: Decoder) -> None:
        self.__dict__ |= model.__dict__
        self.spec: ModelSpec = model.spec
        self.asked: list[tuple[int, ...]] = []

    def prefill(
        self, cache: SlotCache, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        self.asked.append(tuple(hidden_layers))
        return super().prefill(cache, rows, hidden_layers)

    def step(
        self,
        cache: SlotCache,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        self.asked.append(tuple(hidden_layers))
        return super().step(cache, token_ids, slots, positions, hidden_layers)


def test_hidden_states_are_asked_for_only_where_a_row_wants_a_probe() -> None:
    model = Watched(tiny_model())
    with engine(model) as running:
        collect(running.submit(ask(signals=("entropy",))))
        assert set(model.asked) == {()}
        model.asked.clear()
        collect(running.submit(ask([7, 7, 7], signals=("probe:linear",))))
        assert set(model.asked) == {(0, 1, 2)}
        model.asked.clear()
        collect(running.submit(ask([7, 7, 8], Restless())))
        assert set(model.asked) == {(0, 1, 2)}


class AsksBeforeTheChoice:
    """Notes what a sampling policy is told."""

    needs: frozenset[str] = frozenset(ALL)

    def __init__(self) -> None:
        self.told: list[Mapping[str, float]] = []

    def policy(self, signals: Mapping[str, float]) -> SamplingParams:
        self.told.append(dict(signals))
        return SamplingParams()

    async def decode(self, sequence: Text) -> Text:
        await sequence.extend(max_tokens=10, sampling=self.policy)
        return sequence


def test_a_policy_is_told_the_probes_that_do_not_depend_on_the_token() -> None:
    strategy = AsksBeforeTheChoice()
    asked = ask(strategy=strategy)
    with engine() as running:
        answer = collect(running.submit(asked)).only
    require_defined_scores(asked, answer)
    assert len(strategy.told) == 10
    for told, token in zip(strategy.told, answer.tokens, strict=True):
        assert "probe:pooled_every" in told
        assert not {"probe:linear", "probe:pooled", "probe:by_token"} & set(told)
        assert all(token.signals[name] == value for name, value in told.items())
    assert "probe:answer" in strategy.told[0]


def test_an_unknown_probe_is_named_with_those_there_are() -> None:
    with engine() as running:
        with pytest.raises(UnknownNameError, match=r"no signal 'probe:liner'; .*Did you mean 'probe:linear'"):
            running.submit(ask(signals=("probe:liner",)))
        with pytest.raises(UnknownNameError) as raised:
            running.submit(ask(signals=("linear",)))
    assert raised.value.param == "signals"
    assert all(name in str(raised.value) for name in ALL)


def test_a_given_text_has_no_probes() -> None:
    with engine() as running:
        for refused in (
            lambda: running.score([1, 2, 3], ("entropy", "probe:linear")),
            lambda: running.submit(ask(signals=("probe:linear",), score_prompt=True)),
        ):
            with pytest.raises(ParameterError, match="'probe:linear', but probes are read while") as raised:
                refused()
            assert raised.value.param == "signals"
        # A strategy's own probes do not keep the prompt from being scored.
        answer = collect(running.submit(ask(strategy=Restless(), score_prompt=True)))
    assert answer.error is None


def test_probes_without_hidden_states_need_no_layer() -> None:
    probe = random_probe("doubt", positions(CLOSING, MARKERS)["every"], [], 32, signals=True)
    model = Watched(tiny_model())
    asked = ask(signals=("probe:doubt",), n=2)
    with Engine(TinyCheckpoint(model), EngineLimits(), [probe]) as running:
        answers = collect(running.submit(asked)).choices
    assert set(model.asked) == {()}
    for answer in answers.values():
        expected = score_text(tiny_model(), asked.prompt_ids, answer.ids, [probe])
        assert [probe_scores(token) for token in answer.tokens] == [
            pytest.approx(scores, abs=1e-4) for scores in expected
        ]


def test_nothing_is_read_from_logits_that_are_not_numbers() -> None:
    class Broken(Watched):
        def step(self, *args: Any, **rest: Any) -> StepOutput:
            output = super().step(*args, **rest)
            return StepOutput(output.logits * torch.nan, output.hidden)

    with engine(Broken(tiny_model())) as running:
        result = collect(running.submit(ask(signals=ALL)))
    assert "not all numbers" in str(result.error)
