"""The same request gives the same answer alone and in any company."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.decoding.core.gather import gather
from app.decoding.core.randomness import uniform
from app.decoding.core.sequence import Sequence
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy, Sample
from app.decoding.strategies.base import Runnable
from app.engine.types import GenerationRequest
from models.language_model import LanguageModel
from tests.app.engine.tiny import Result, Wanderer, ask, collect, fresh_logprobs, tiny_engine, tiny_model

STRATEGIES: dict[str, Runnable] = {
    "greedy": Greedy(),
    "sample": Sample(),
    "wanderer": Wanderer(),
}
CHAINS = [
    SamplingParams(),
    SamplingParams(temperature=0.7, top_p=0.9),
    SamplingParams(temperature=1.5, top_k=20, min_p=0.01),
    SamplingParams(repetition_penalty=1.3, frequency_penalty=0.5, logit_bias={65: 2.0}),
    SamplingParams(typical_p=0.8, temperature=0.0),
    SamplingParams(mirostat=2, mirostat_tau=3.0),
    SamplingParams(xtc_probability=0.5, xtc_threshold=0.05, dry_multiplier=0.8),
    SamplingParams(adaptive_target=0.3, no_repeat_ngram_size=2),
    SamplingParams(top_p=0.9, tfs=0.95, temperature=0.8, samplers=("tfs", "temperature", "top_p")),
]


def request(index: int, kind: str, seed: int) -> GenerationRequest:
    prompt = [(index * 31 + i * 7) % 250 + 1 for i in range(3 + index % 20)]
    return ask(
        prompt,
        STRATEGIES[kind],
        CHAINS[index % len(CHAINS)],
        max_tokens=5 + index % 9,
        stop=("a",) if index % 3 == 0 else (),
        n=1 + index % 2,
        seed=seed,
        signals=("entropy", "margin") if index % 2 else (),
        top_logprobs=index % 4,
    )


def same(left: Result, right: Result) -> None:
    assert left.choices.keys() == right.choices.keys()
    for index, answer in left.choices.items():
        other = right.choices[index]
        assert answer.ids == other.ids
        assert answer.text == other.text
        for mine, theirs in zip(answer.tokens, other.tokens, strict=True):
            assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
            assert mine.signals == pytest.approx(theirs.signals, abs=1e-3)
            assert len(mine.top) == len(theirs.top)
        assert answer.events == other.events
    assert left.usage is not None
    assert right.usage is not None
    assert left.usage.completion_tokens == right.usage.completion_tokens
    assert left.usage.discarded_tokens == right.usage.discarded_tokens


@settings(max_examples=3)
@given(seed=st.integers(0, 2**40), max_rows=st.sampled_from([4, 40]))
def test_alone_equals_among_32_others(model: LanguageModel[Any], seed: int, max_rows: int) -> None:
    kinds = list(STRATEGIES)
    requests = [request(index, kinds[(index + seed) % 3], seed + index) for index in range(33)]
    with tiny_engine(model, max_rows=max_rows) as engine:
        streams = [engine.submit(each) for each in requests]
        together = [collect(stream) for stream in streams]
    with tiny_engine(model, max_rows=max_rows) as engine:
        alone = [collect(engine.submit(each)) for each in requests]
    for mine, theirs in zip(alone, together, strict=True):
        same(mine, theirs)


def test_requests_are_decoded_together() -> None:
    with tiny_engine(max_rows=8) as engine:
        streams = [engine.submit(ask([i, 2, 3], max_tokens=30)) for i in range(1, 9)]
        for stream in streams:
            collect(stream)
        stats = engine.stats()
    assert max(stats.batch_sizes) == 8
    assert stats.forward_passes < 8 * 30 / 2


def test_choices_differ_and_do_not_depend_on_how_many_there_are() -> None:
    with tiny_engine() as engine:
        many = collect(engine.submit(ask(n=5, seed=3)))
        few = collect(engine.submit(ask(n=2, seed=3)))
        other = collect(engine.submit(ask(n=2, seed=4)))
    texts = [tuple(many.choices[index].ids) for index in range(5)]
    assert len(set(texts)) == 5
    assert [tuple(few.choices[index].ids) for index in range(2)] == texts[:2]
    assert [tuple(other.choices[index].ids) for index in range(2)] != texts[:2]


def test_greedy_is_the_argmax_of_a_fresh_prefill() -> None:
    prompt = [9, 8, 7]
    with tiny_engine() as engine:
        answer = collect(engine.submit(ask(prompt, Greedy(), max_tokens=20))).only
    ids = list(prompt)
    for token in answer.tokens:
        logprobs = fresh_logprobs(ids)
        assert token.id == int(logprobs.argmax())
        assert token.logprob == pytest.approx(float(logprobs.max()), abs=1e-4)
        ids.append(token.id)
    assert len(ids) == 23


class Redraw:
    """Draws four tokens, then the last two again, twice."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        await sequence.extend(max_tokens=4)
        for _ in range(2):
            sequence.rewind(2, "again")
            await sequence.extend(max_tokens=2)
        return sequence


def test_every_token_is_the_inverse_cdf_at_its_own_uniform() -> None:
    with tiny_engine() as engine:
        plain = collect(engine.submit(ask(seed=8, n=2, max_tokens=15)))
        redrawn = collect(engine.submit(ask(seed=8, n=2, strategy=Redraw(), max_tokens=15)))
    for index in range(2):
        assert plain.choices[index].ids[:2] == redrawn.choices[index].ids[:2]
        for answer, first_attempts in ((plain.choices[index], 15), (redrawn.choices[index], 2)):
            ids = list(ask().prompt_ids)
            for position, token in enumerate(answer.tokens):
                attempt = 0 if position < first_attempts else 2
                point = uniform(8, (index,), position, attempt)
                cumulative = fresh_logprobs(ids).double().exp().cumsum(-1)
                assert token.id == int((cumulative <= point * cumulative[-1]).sum())
                ids.append(token.id)


def test_signals_and_alternatives_are_of_the_raw_distribution(model: LanguageModel[Any]) -> None:
    """Whatever the chain, log-probabilities and signals are those of the model."""
    chain = SamplingParams(temperature=0.2, top_k=2, logit_bias={70: 5.0}, repetition_penalty=2.0)
    with tiny_engine(model) as engine:
        signals = ("entropy", "surprisal", "max_probability")
        asked = ask(sampling=chain, signals=signals, top_logprobs=3, score_prompt=True)
        answer = collect(engine.submit(asked)).only
    ids = list(asked.prompt_ids)
    for token in answer.tokens:
        logprobs = fresh_logprobs(ids)
        assert token.logprob == pytest.approx(float(logprobs[token.id]), abs=1e-4)
        assert token.signals["surprisal"] == pytest.approx(-token.logprob, abs=1e-6)
        entropy = -float((logprobs.exp() * logprobs).sum())
        assert token.signals["entropy"] == pytest.approx(entropy, abs=1e-4)
        assert [each.token_id for each in token.top] == logprobs.topk(3).indices.tolist()
        ids.append(token.id)


def test_scores_are_those_of_the_generation(model: LanguageModel[Any]) -> None:
    with tiny_engine(model) as engine:
        answer = collect(engine.submit(ask([5, 6], signals=("entropy",), max_tokens=10))).only
        scored = engine.score([5, 6, *answer.ids], ("entropy",), 2)
    assert [token.id for token in scored] == [6, *answer.ids]
    for mine, theirs in zip(scored[1:], answer.tokens, strict=True):
        assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
        assert mine.signals["entropy"] == pytest.approx(theirs.signals["entropy"], abs=1e-4)
    logits = tiny_model().score([5, 6, *answer.ids]).logits
    assert scored[0].top[0].token_id == int(logits[0].argmax())


class Growing:
    """Branches that wait for each other at every token, and one more at every other."""

    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        branches = [sequence]
        while not sequence.finished:
            await gather(*(branch.next() for branch in branches))
            if len(branches) < 4 and sequence.position % 2:
                branches += sequence.fork()
        return sequence


def test_branches_that_wait_for_each_other_are_not_computed_anew_all_the_time() -> None:
    requests = [ask([9, index, 3], Growing(), max_tokens=40, seed=index) for index in range(8)]
    with tiny_engine(max_rows=8) as engine:
        for stream in [engine.submit(each) for each in requests]:
            assert collect(stream).error is None
        stats = engine.stats()
    # There is room for a quarter of the branches. Those that give way are computed anew once or twice.
    assert stats.prefill_tokens < stats.drawn_tokens / 4
    assert stats.forward_rows / stats.forward_passes > 6
