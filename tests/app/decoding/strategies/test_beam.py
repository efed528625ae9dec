"""Beam search against transformers' own, against all texts there are, and diverse beams against the paper's
algorithm written out."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.decoding.strategies.beam import Beam
from app.engine.engine import Engine
from models.decoder import Decoder
from models.gpt2 import GPT2, GPT2Config
from models.hub_format import hub_config, to_hub
from tests.app.engine.tiny import (
    END,
    VOCABULARY,
    Answer,
    ByteTokenizer,
    TinyCheckpoint,
    ask,
    collect,
    fresh_logprobs,
    tiny_model,
)
from tests.models.tiny import randomise, tiny_network

SMALL, LENGTH = 4, 4
PROMPT = (3, 1, 4, 1, 5)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(TinyCheckpoint(tiny_model())) as engine:
        yield engine


@cache
def served_network() -> GPT2:
    return tiny_network("learned", vocab_size=len(VOCABULARY))


@cache
def transformers_model() -> Any:
    """`served_network`, as transformers computes it."""
    from transformers import AutoConfig, AutoModelForCausalLM

    network = served_network()
    values = hub_config(network.config, end_token_id=END)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(values.pop("model_type"), **values), attn_implementation="eager"
    )
    model.load_state_dict(to_hub(network.config, network.state_dict()), strict=False)
    model.tie_weights()
    return model.eval()


def beam(engine: Engine, prompt: tuple[int, ...], max_tokens: int, **fields: Any) -> Answer:
    params = {key: fields.pop(key) for key in list(fields) if key in Beam.model_fields}
    strategy = Beam(**params)
    return collect(engine.submit(ask(prompt, strategy, max_tokens=max_tokens, **fields))).only


def detail(answer: Answer) -> dict[str, Any]:
    (event,) = (event for event in answer.events if event.rule == "beam")
    return dict(event.detail)


def prompts(count: int) -> list[tuple[int, ...]]:
    return [
        tuple((seed * 31 + i * 7 + i * i) % 250 + 1 for i in range(2 + seed % 9)) for seed in range(count)
    ]


@pytest.mark.parametrize(
    ("width", "length_penalty", "early_stopping", "ends"),
    [
        (3, 1.0, False, 1),
        (4, -0.5, False, 40),
        (4, 1.0, True, 40),
        (4, 2.0, "never", 40),
        (3, 0.6, "never", 25),
        (6, -1.0, False, 25),
        (2, 1.0, False, 25),
    ],
)
def test_texts_and_scores_are_those_of_transformers(
    width: int, length_penalty: float, early_stopping: Any, ends: int
) -> None:
    end_ids = [END, *range(20, 20 + 5 * (ends - 1), 5)]
    served = Engine(TinyCheckpoint(Decoder(served_network(), "tiny", END)))
    with served as engine:
        early = sum(
            require_same(engine, prompt, end_ids, width, length_penalty, early_stopping)
            for prompt in prompts(6)
        )
    assert length_penalty >= 0 or early > 1


def require_same(
    engine: Engine,
    prompt: tuple[int, ...],
    end_ids: list[int],
    width: int,
    length_penalty: float,
    early_stopping: Any,
) -> bool:
    """Check all texts of one prompt, in their order; whether the best ended before its greatest length."""
    expected = transformers_model().generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
        num_beams=width,
        num_return_sequences=width,
        length_penalty=length_penalty,
        early_stopping=early_stopping,
        eos_token_id=end_ids,
        pad_token_id=END,
        max_new_tokens=14,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    strategy = Beam(width=width, length_penalty=length_penalty, early_stopping=early_stopping)
    asked = ask(
        prompt,
        strategy,
        max_tokens=14,
        ignore_eos=False,
        stop_token_ids=tuple(end_ids[1:]),
        n=width,
    )
    result = collect(engine.submit(asked))
    for place in range(width):
        padded = expected.sequences[place, len(prompt) :].tolist()
        ends = [index for index, id_ in enumerate(padded) if id_ in end_ids]
        answer = result.choices[place]
        assert answer.ids == padded[: ends[0] + 1 if ends else None]
        assert detail(answer)["score"] == pytest.approx(float(expected.sequences_scores[place]), abs=1e-4)
    return result.choices[0].ids[-1] in end_ids


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_width_one_is_greedy(engine: Engine, early_stopping: bool, length_penalty: float) -> None:
    for prompt in prompts(8):
        asked = ask(prompt, Greedy(), max_tokens=20, ignore_eos=False, stop=("e", "Z"))
        greedy = collect(engine.submit(asked)).only
        ours = beam(
            engine,
            prompt,
            20,
            width=1,
            early_stopping=early_stopping,
            length_penalty=length_penalty,
            ignore_eos=False,
            stop=("e", "Z"),
        )
        assert (ours.ids, ours.text) == (greedy.ids, greedy.text)


def test_width_one_is_greedy_with_penalties_and_bias(engine: Engine) -> None:
    sampling = SamplingParams(logit_bias={46: 6.0, 77: -20.0}, repetition_penalty=1.3, frequency_penalty=0.5)
    for prompt in prompts(6):
        greedy = collect(engine.submit(ask(prompt, Greedy(), sampling))).only
        assert beam(engine, prompt, 12, width=1, sampling=sampling).ids == greedy.ids


def test_scores_are_of_the_distribution_after_the_bias(engine: Engine) -> None:
    sampling = SamplingParams(logit_bias={46: 8.0, 65: 9.0})
    answer = beam(engine, PROMPT, 3, width=3, length_penalty=0.0, sampling=sampling)
    total, bias = 0.0, torch.zeros(len(VOCABULARY))
    bias[46], bias[65] = 8.0, 9.0
    for place, id_ in enumerate(answer.ids):
        biased = fresh_logprobs([*PROMPT, *answer.ids[:place]]) + bias
        total += float(biased.log_softmax(-1)[id_])
    assert detail(answer)["score"] == pytest.approx(total, abs=1e-4)


@cache
def small_model() -> Decoder:
    """A vocabulary of four, so that all texts can be listed."""
    network = GPT2(GPT2Config(SMALL, 16, d_model=16, n_layers=2, n_heads=2))
    randomise(network, seed=4)
    return Decoder(network.eval(), "small", END)


def every_text(prompt: tuple[int, ...]) -> dict[tuple[int, ...], float]:
    """Log-probability of every text of at most `LENGTH` tokens that ends with the end token or there."""
    found: dict[tuple[int, ...], float] = {}
    for ids in product(range(SMALL), repeat=LENGTH):
        text = ids[: ids.index(END) + 1] if END in ids else ids
        logprobs = small_model().score([*prompt, *text]).logits.log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) + len(text) - 1)
        found[text] = sum(float(logprobs[place, id_]) for place, id_ in zip(places, text, strict=True))
    return found


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.5])
def test_wide_enough_it_finds_the_best_of_all_texts(length_penalty: float) -> None:
    with Engine(TinyCheckpoint(small_model(), ByteTokenizer(tuple(VOCABULARY[:SMALL])))) as engine:
        for prompt in [(1, 2), (3, 3, 1), (2,)]:
            scores = {ids: p / len(ids) ** length_penalty for ids, p in every_text(prompt).items()}
            best = max(scores, key=lambda ids: scores[ids])
            answer = beam(
                engine,
                prompt,
                LENGTH,
                width=64,
                length_penalty=length_penalty,
                early_stopping="never",
                ignore_eos=False,
            )
            assert tuple(answer.ids) == best
            assert detail(answer)["score"] == pytest.approx(scores[best], abs=1e-4)


def diverse_beams(prompt: tuple[int, ...], width: int, groups: int, penalty: float, length: int) -> float:
    """Algorithm 1 of Vijayakumar et al. over the whole vocabulary; log-probability of the best text."""
    size = width // groups
    beams: list[list[tuple[tuple[int, ...], float]]] = [[((), 0.0)] for _ in range(groups)]
    for _ in range(length):
        counts = torch.zeros(tiny_model().spec.vocab_size)
        for group, held in enumerate(beams):
            totals = [logprob + fresh_logprobs([*prompt, *ids]) for ids, logprob in held]
            augmented = torch.stack([total - penalty * counts for total in totals])
            flat = augmented.flatten().topk(size).indices.tolist()
            places = [divmod(index, augmented.shape[1]) for index in flat]
            beams[group] = [((*held[row][0], token), float(totals[row][token])) for row, token in places]
            for _, token in places:
                counts[token] += 1
    return max(logprob for held in beams for _, logprob in held)


@pytest.mark.parametrize(("width", "groups", "penalty"), [(4, 2, 0.5), (6, 3, 1.0), (4, 4, 2.0)])
def test_diverse_groups_are_those_of_the_paper(
    engine: Engine, width: int, groups: int, penalty: float
) -> None:
    for prompt in prompts(6):
        expected = diverse_beams(prompt, width, groups, penalty, 6)
        answer = beam(
            engine, prompt, 6, width=width, groups=groups, diversity_penalty=penalty, length_penalty=0.0
        )
        assert detail(answer)["logprob"] == pytest.approx(expected, abs=1e-4)
        assert detail(answer)["finished"] == width


def test_every_look_is_counted(engine: Engine) -> None:
    before = engine.stats().forward_rows
    strategy = Beam(width=3)
    result = collect(engine.submit(ask(PROMPT, strategy, max_tokens=10)))
    assert result.usage is not None
    # One look at the prompt, then three at every later position.
    assert engine.stats().forward_rows - before == 1 + 9 * 3
    assert result.usage.completion_tokens == 10
    assert result.usage.discarded_tokens == 18 == detail(result.only)["discarded"]


def test_temperature_plays_no_part(engine: Engine) -> None:
    plain = beam(engine, PROMPT, 8, width=3)
    hot = beam(engine, PROMPT, 8, width=3, sampling=SamplingParams(temperature=2.0, top_k=1))
    assert plain.ids == hot.ids


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "greater than or equal to 1"),
        ({"width": 4, "groups": 3, "diversity_penalty": 1.0}, "width must be a multiple of groups"),
        ({"groups": 2}, "diversity_penalty 0"),
        ({"diversity_penalty": 1.0}, "only one group"),
        ({"early_stopping": "sometimes"}, "never"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Beam(**fields)
