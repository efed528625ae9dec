"""What every strategy owes its callers, whatever it does."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import isfinite
from time import monotonic, sleep
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.decoding.core.types import Event
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import STRATEGIES, RequestStrategy
from app.engine.engine import Engine
from app.engine.types import EngineLimits, GenerationRequest
from tests.app.decoding.calibrated import calibration, with_risk
from tests.app.decoding.strategies.examples import EXAMPLES, Example
from tests.app.engine.tiny import VOCABULARY, Result, TinyCheckpoint, ask, collect, tiny_model
from tests.probes.tiny import every_family

STOP, LINE = 46, 10
ADAPTER: TypeAdapter[Any] = TypeAdapter(RequestStrategy)
PROBES = every_family((STOP, LINE), (61,), (5, 6, 7), d_model=32, last=2)
PROMPT = (3, 1, 4, 1, 5)
MAX_TOKENS = 24
KINDS = sorted(STRATEGIES)
SEEDS = range(6)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    measured = with_risk(calibration(), (2.5, 3.0, 3.5))
    with Engine(TinyCheckpoint(tiny_model()), EngineLimits(max_rows=32), PROBES, measured) as engine:
        yield engine


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, also in what is nested."""
    both = dict(base)
    for name, value in changes.items():
        nested = both.get(name)
        both[name] = merged(nested, value) if isinstance(nested, dict) and isinstance(value, dict) else value
    return both


def parameters(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Names of all parameters, those of nested models as `outer.inner`."""
    names: set[str] = set()
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            names |= parameters(info.annotation, f"{prefix}{name}.")
        else:
            names.add(prefix + name)
    return names


def request_of(kind: str, seed: int = 0, **changed: Any) -> GenerationRequest:
    example = EXAMPLES[kind]
    params = ADAPTER.validate_python({"kind": kind, **merged(example.params, changed)})
    fields: dict[str, Any] = {"logit_bias": {STOP: 5.0}, **example.sampling}
    sampling = SamplingParams(**fields)
    return ask(PROMPT, params, sampling, MAX_TOKENS, ignore_eos=False, seed=seed)


def run(engine: Engine, kind: str, seed: int = 0, **changed: Any) -> Result:
    return collect(engine.submit(request_of(kind, seed, **changed)))


def outcome(result: Result) -> tuple[object, ...]:
    """Everything that a caller can see of an answer, but for what happened to be in the cache."""
    answer, usage = result.only, result.usage
    assert answer.done is not None
    assert usage is not None
    ending = (answer.done.finish_reason, answer.done.stop_reason)
    return answer.ids, answer.text, traced(answer.events), ending, replace(usage, cached_tokens=0)


def traced(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """The trace, up to what the rounding of sums in batches of another size does to its numbers."""
    return [
        (event.position, event.rule, {key: rounded(value) for key, value in event.detail.items()})
        for event in events
    ]


def rounded(value: float | int | str) -> float | int | str:
    return round(value, 3) if isinstance(value, float) else value


@pytest.mark.parametrize("kind", STRATEGIES)
def test_there_is_an_example_and_a_change_of_every_parameter(kind: str) -> None:
    assert kind in EXAMPLES, f"add {kind!r} to EXAMPLES in examples.py"
    example = EXAMPLES[kind]
    params = ADAPTER.validate_python({"kind": kind, **example.params})
    missing = parameters(type(params)) - {"kind"} - set(example.changes)
    assert not missing, f"examples.py lacks changes of {kind!r} for {missing}"
    assert set(example.changes) == parameters(type(params)) - {"kind"}


@pytest.mark.parametrize("kind", KINDS)
def test_json_goes_in_and_comes_out_the_same(kind: str) -> None:
    params = ADAPTER.validate_python({"kind": kind, **EXAMPLES[kind].params})
    assert ADAPTER.validate_json(ADAPTER.dump_json(params)) == params


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_keys_and_changes_of_parameters_are_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="no_such_key"):
        ADAPTER.validate_python({"kind": kind, **EXAMPLES[kind].params, "no_such_key": 1})
    params = ADAPTER.validate_python({"kind": kind, **EXAMPLES[kind].params})
    with pytest.raises(ValidationError):
        params.kind = "other"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_answer_alone_and_among_32_others(engine: Engine, kind: str) -> None:
    alone = [outcome(run(engine, kind, seed)) for seed in range(2)]
    before = [engine.submit(ask((7, seed, 9), max_tokens=20, seed=seed)) for seed in range(16)]
    ours = [engine.submit(request_of(kind, seed)) for seed in range(2)]
    after = [engine.submit(ask((seed, 9), max_tokens=20, seed=seed)) for seed in range(1, 17)]
    assert [outcome(collect(stream)) for stream in ours] == alone
    for stream in (*before, *after):
        assert collect(stream).error is None


@pytest.mark.parametrize("kind", KINDS)
def test_one_object_serves_many_texts_and_is_not_changed_by_them(engine: Engine, kind: str) -> None:
    request = request_of(kind, seed=3)
    params = ADAPTER.validate_python({"kind": kind, **EXAMPLES[kind].params})
    before, sampling = repr(request.strategy), repr(request.sampling)
    streams = [engine.submit(replace(request, seed=seed)) for seed in (3, 4, 3)]
    first, _, again = (outcome(collect(stream)) for stream in streams)
    assert first == again
    assert (repr(request.strategy), repr(request.sampling)) == (before, sampling)
    assert params == ADAPTER.validate_python({"kind": kind, **EXAMPLES[kind].params})


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in KINDS for name in EXAMPLES.get(kind, Example()).changes]
)
def test_every_parameter_matters(engine: Engine, kind: str, name: str) -> None:
    changed = EXAMPLES[kind].changes[name]
    assert name.split(".")[0] in changed
    base = [outcome(run(engine, kind, seed)) for seed in SEEDS]
    others = [outcome(run(engine, kind, seed, **changed)) for seed in SEEDS]
    hint = f"no answer changed with {changed}: choose a larger change, or params under which {kind} acts"
    assert base != others, hint


@pytest.mark.parametrize("kind", KINDS)
def test_the_trace_agrees_with_the_text(engine: Engine, kind: str) -> None:
    for seed in SEEDS:
        result = run(engine, kind, seed)
        answer, usage = result.only, result.usage
        assert usage is not None
        assert answer.done is not None
        written = b"".join(VOCABULARY[token.id] for token in answer.done.text_tokens)
        assert written.decode(errors="replace") == answer.text
        assert all(0 <= event.position <= MAX_TOKENS for event in answer.events)
        for event in answer.events:
            assert event.rule
            for value in event.detail.values():
                assert isinstance(value, str) or isfinite(value), f"{event} holds what is no number"
        # What an event says was discarded is in the bill; forks that were let go are besides.
        discarded = sum(int(event.detail.get("discarded", 0)) for event in answer.events)
        assert discarded <= usage.discarded_tokens


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_counted_as_the_engine_counts_its_rows(engine: Engine, kind: str) -> None:
    for seed in SEEDS:
        before = engine.stats()
        result = run(engine, kind, seed)
        after = engine.stats()
        assert result.usage is not None
        rows = after.forward_rows - before.forward_rows
        assert result.usage.completion_tokens + result.usage.discarded_tokens == rows
        assert after.rows_in_use == 0


# What is not drawn is the same every time, as it is where others decode greedily.
DETERMINISTIC = {"greedy", "abstain", "adadec"}


@pytest.mark.parametrize("kind", KINDS)
def test_choices_of_one_request_are_texts_of_their_own(engine: Engine, kind: str) -> None:
    results = [collect(engine.submit(replace(request_of(kind, seed), n=3))) for seed in SEEDS]
    assert all(result.error is None for result in results)
    texts = [{tuple(answer.ids) for answer in result.choices.values()} for result in results]
    if kind in DETERMINISTIC:
        assert all(len(each) == 1 for each in texts)
    else:
        assert any(len(each) > 1 for each in texts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_leaves_frees_every_slot(engine: Engine, kind: str) -> None:
    streams = [engine.submit(request_of(kind, seed)) for seed in range(8)]
    for stream in streams[1:]:
        stream.cancel()
    assert collect(streams[0]).error is None
    deadline = monotonic() + 60
    while engine.stats().active_requests and monotonic() < deadline:
        sleep(0.01)
    stats = engine.stats()
    assert (stats.rows_in_use, stats.active_requests, stats.waiting_requests) == (0, 0, 0)


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if "step_ends" in STRATEGIES[kind].params_schema["properties"]]
)
@pytest.mark.parametrize("rule", [{"pattern": r"\.|\n"}, {"pattern": "[.\n]"}])
def test_a_step_ends_by_a_pattern_as_it_does_by_the_same_texts(
    engine: Engine, kind: str, rule: Mapping[str, str]
) -> None:
    for seed in SEEDS:
        by_text = run(engine, kind, seed, step_ends=[".", "\n"])
        assert outcome(run(engine, kind, seed, step_ends=rule)) == outcome(by_text)
