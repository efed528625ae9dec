"""Greedy texts of real models are those of transformers' `generate`, alone and among others.

Folders are given by DEMUR_TEST_MODELS, separated by colons. Where the two likeliest tokens are within `TIE`
of each other, either may come first, by how the sums were rounded: there texts are compared no further. The
report of the run (`--junitxml`) says how many."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import EngineLimits, GenerationRequest
from app.measure.asking import collect
from models import checkpoint
from tests.models.test_real_tokenizers import FOLDERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not FOLDERS, reason="DEMUR_TEST_MODELS names no folder"),
]

TIE = 1e-4
MAX_TOKENS = 8
ROWS = 32
BEGINNINGS = (
    "The capital of {} is",
    "Once upon a time in {}, there was a",
    "List three facts about {}:\n1.",
    "Q: How far is it to {}?\nA:",
    "{}",
    "In the year 1905, the people of {} decided that",
    "def distance_to_{}(x, y):\n    return",
    "My friend from {} told me a story about a river, a bridge and an old man who",
    "12 + 30 = 42. 7 + 8 =  {} 9 + 4 =",
    "Dear {},\n\nThank you",
)
PLACES = ("France", "Kenya", "Peru", "India", "Oslo", "Rome", "Mars", "Japan", "the sea", "Lima")


@dataclass(frozen=True)
class Both:
    """A model here, and in transformers."""

    loaded: checkpoint.LoadedCheckpoint
    network: Any

    @cached_property
    def prompts(self) -> list[list[int]]:
        texts = [beginning.format(place) for beginning, place in product(BEGINNINGS, PLACES)]
        return [self.loaded.tokenizer.encode_prompt(text) for text in texts]

    @cached_property
    def expected(self) -> list[list[int]]:
        return [self.generate(ids) for ids in self.prompts]

    @torch.inference_mode()
    def generate(self, ids: list[int]) -> list[int]:
        ends = list(self.loaded.model.spec.end_token_ids)
        written = self.network.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
            max_new_tokens=MAX_TOKENS,
            do_sample=False,
            repetition_penalty=1.0,
            eos_token_id=ends,
            pad_token_id=ends[0],
        )
        return written[0, len(ids) :].tolist()

    @torch.inference_mode()
    def is_tied(self, ids: list[int]) -> bool:
        """Whether it is open which token comes next."""
        first, second = self.network(torch.tensor([ids])).logits[0, -1].float().topk(2).values.tolist()
        return first - second <= TIE

    def ties(self, found: list[list[int]]) -> int:
        """How many texts differ after a tie; no other may differ."""
        tied = 0
        for prompt, ours, theirs in zip(self.prompts, found, self.expected, strict=True):
            if ours != theirs:
                same = next(place for place, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b)
                assert self.is_tied(prompt + theirs[:same]), (prompt, ours, theirs)
                tied += 1
        return tied


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def both(request: pytest.FixtureRequest) -> Both:
    from transformers import AutoModelForCausalLM

    folder: Path = request.param
    network: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Both(checkpoint.load(folder), network.eval())


@pytest.fixture
def engine(both: Both) -> Iterator[Engine]:
    with Engine(both.loaded, EngineLimits(max_rows=ROWS, max_context=256)) as engine:
        yield engine


def ask(ids: list[int]) -> GenerationRequest:
    return GenerationRequest(
        prompt_ids=tuple(ids),
        strategy=Greedy(),
        sampling=SamplingParams(temperature=0.0),
        stopping=StoppingParams(max_tokens=MAX_TOKENS),
    )


def written(stream: Stream) -> list[int]:
    return [token.id for token in collect(stream).done.tokens]


Record = Callable[[str, object], None]


def test_each_alone(both: Both, engine: Engine, record_property: Record) -> None:
    found = [written(engine.submit(ask(ids))) for ids in both.prompts]
    assert all(found)
    record_property("tied", f"{both.ties(found)} of {len(found)}")


def test_each_among_31_others(both: Both, engine: Engine, record_property: Record) -> None:
    # As many again as rows follow, so that the last ones have company to their end.
    streams = [engine.submit(ask(ids)) for ids in [*both.prompts, *both.prompts[:ROWS]]]
    found = [written(stream) for stream in streams]
    assert max(engine.stats().batch_sizes) == ROWS
    record_property("tied", f"{both.ties(found[: len(both.prompts)])} of {len(both.prompts)}")
