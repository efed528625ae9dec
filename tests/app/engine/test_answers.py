"""What a request gets: its text, its tokens, where they end."""

from dataclasses import dataclass

import pytest

from app.decoding.core.sequence import Sequence
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.types import ChoiceDone, PromptScored, RequestDone, TokenOut
from tests.app.engine.tiny import CONTEXT, END, ask, collect, tiny_engine, tiny_model


def biased(*tokens: int) -> SamplingParams:
    """Draws nothing but these tokens."""
    return SamplingParams(logit_bias=dict.fromkeys(tokens, 100.0))


def test_a_character_in_pieces_is_sent_whole() -> None:
    with tiny_engine() as engine:
        pieces = "€€".encode()
        items = list(engine.submit(ask(strategy=Script(list(pieces)), max_tokens=6)))
    texts = [item.text for item in items if isinstance(item, TokenOut)]
    assert texts == ["", "", "€", "", "", "€"]


@dataclass
class Script:
    """Writes given tokens: through the model, one by one."""

    ids: list[int]
    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        for token_id in self.ids:
            if not sequence.finished:
                await sequence.next(SamplingParams(0.0, logit_bias={token_id: 100.0}))
                sequence.commit()
        return sequence


@pytest.mark.parametrize(
    ("text", "stop", "expected", "returned"),
    [
        ("hello STOP more", ("STOP",), "hello ", 6),
        ("hello STO", ("STOP",), "hello STO", 9),
        ("aab", ("ab",), "a", 1),
        ("xéy", ("é",), "x", 1),
        ("S", ("S",), "", 0),
    ],
)
def test_a_stop_string_over_several_tokens_is_cut(
    text: str, stop: tuple[str, ...], expected: str, returned: int
) -> None:
    with tiny_engine() as engine:
        result = collect(engine.submit(ask(strategy=Script(list(text.encode())), stop=stop, max_tokens=30)))
    answer = result.choices[0]
    assert answer.done is not None
    assert (answer.text, len(answer.tokens)) == (expected, returned)
    hit = stop[0] in text
    assert answer.done.finish_reason == "stop"
    assert answer.done.stop_reason == (stop[0] if hit else "strategy")
    assert result.usage is not None
    written = text[: text.index(stop[0]) + len(stop[0])] if hit else text
    assert result.usage.completion_tokens == len(written.encode())


def test_the_token_that_ends_a_text_is_among_its_tokens_and_no_part_of_it() -> None:
    with tiny_engine() as engine:
        result = collect(engine.submit(ask(strategy=Script([65, END]), ignore_eos=False)))
        ignored = collect(engine.submit(ask(strategy=Script([65, END, 66]), ignore_eos=True)))
        stopped = collect(engine.submit(ask(strategy=Script([65, 66]), stop_token_ids=(66,))))
    for each, reason, last in ((result, None, END), (stopped, 66, 66)):
        answer = each.only
        assert (answer.text, answer.ids) == ("A", [65, last])
        assert answer.done is not None
        assert (answer.done.finish_reason, answer.done.stop_reason) == ("stop", reason)
        assert [token.id for token in answer.done.text_tokens] == [65]
        assert each.usage is not None
        assert each.usage.completion_tokens == 2
    assert (ignored.only.text, ignored.only.ids) == ("AB", [65, END, 66])
    assert ignored.only.done is not None
    assert ignored.only.done.text_tokens == tuple(ignored.only.tokens)


def test_length_is_bounded_by_the_context() -> None:
    with tiny_engine() as engine:
        answer = collect(engine.submit(ask(range(1, 61), max_tokens=500))).only
        fits = collect(engine.submit(ask([3] * (CONTEXT - 1), max_tokens=500))).only
        short = tiny_engine(max_context=10)
        assert short.context_length == 10
    assert answer.done is not None
    assert (len(answer.ids), answer.done.finish_reason) == (CONTEXT - 60, "length")
    assert len(fits.ids) == 1


def test_zero_tokens_can_be_asked_for_to_score_a_prompt() -> None:
    prompt = [3] * CONTEXT
    with tiny_engine() as engine:
        items = list(engine.submit(ask(prompt, max_tokens=0, score_prompt=True, n=2)))
        scored = engine.score(prompt)
    assert isinstance(items[0], PromptScored)
    assert list(items[0].tokens) == scored
    assert [type(item) for item in items[1:]] == [ChoiceDone, ChoiceDone, RequestDone]


def test_greedy_ignores_temperature_but_not_bias() -> None:
    with tiny_engine() as engine:
        plain = collect(engine.submit(ask(strategy=Greedy())))
        hot = collect(engine.submit(ask(strategy=Greedy(), sampling=SamplingParams(9.0))))
        bias = collect(engine.submit(ask(strategy=Greedy(), sampling=biased(77))))
    assert plain.only.ids == hot.only.ids
    assert bias.only.ids == [77] * 12


def test_count_penalties_look_at_the_completion_and_repetition_at_the_prompt_too() -> None:
    """Greedy under penalties, written out over the logits of a fresh prefill."""
    prompt = [9, 8, 7, 9]
    # Just enough for a token of the prompt to come first, unless the prompt's tokens were counted.
    bias = {9: 1.0 + max(penalised(prompt, [])) - penalised(prompt, [])[9]}
    chain = SamplingParams(
        temperature=0.0,
        presence_penalty=PRESENCE,
        frequency_penalty=FREQUENCY,
        repetition_penalty=REPETITION,
        logit_bias=bias,
    )
    with tiny_engine() as engine:
        answer = collect(engine.submit(ask(prompt, sampling=chain, max_tokens=20))).only
    assert answer.ids[0] == 9
    for position, token in enumerate(answer.tokens):
        logits = penalised(prompt, answer.ids[:position])
        logits[9] += bias[9]
        assert token.id == logits.index(max(logits))


PRESENCE, FREQUENCY, REPETITION = 1.7, 0.9, 1.6


def penalised(prompt: list[int], written: list[int]) -> list[float]:
    logits: list[float] = tiny_model().score(prompt + written).logits[-1].tolist()
    for token_id in {*prompt, *written}:
        logits[token_id] *= REPETITION if logits[token_id] < 0 else 1 / REPETITION
    for token_id in set(written):
        logits[token_id] -= PRESENCE + FREQUENCY * written.count(token_id)
    return logits
