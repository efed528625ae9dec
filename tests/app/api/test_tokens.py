"""What an answer says of its tokens: each stands at its offset, whole and streamed, whatever they are."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from app.api.answers import Head
from app.api.chat_answer import ChatAnswer
from app.api.completion_answer import CompletionAnswer, scores_prompt
from app.api.generation_streams import Generation
from app.api.metrics import Metrics
from app.api.prompt_reading import Prompt
from app.api.rendering import TokenTexts
from app.api.schemas.requests import ChatRequest, CompletionRequest
from app.api.schemas.responses import Completion, CompletionChoice
from app.decoding.core.sequence import Sequence as Text
from app.engine.engine import Engine
from app.engine.text import vocabulary_of
from app.engine.types import GenerationRequest
from models.tokenizer import Tokenizer
from tests.app.engine.tiny import CONTEXT, END, VOCABULARY, TinyCheckpoint, ask, tiny_model

HEAD = Head("id", 0, "tiny", "fp", 0)
LONGEST = 24
TABLE = vocabulary_of(TinyCheckpoint(tiny_model()))
# Few letters, so that stop strings and characters come about; the end token, and halves of characters.
IDS = st.sampled_from([END, *b"ab", *"é€😀".encode(), 0xED, 0xA0, 0xFF, 256, 257, 258, 259])
STOPS = st.lists(st.sampled_from(["ab", "b€", "é", "aba", "the"]), max_size=2)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(TinyCheckpoint(tiny_model())) as engine:
        yield engine


@dataclass(frozen=True)
class Dictated:
    """Writes given tokens."""

    ids: tuple[int, ...]
    needs: frozenset[str] = frozenset()

    async def decode(self, sequence: Text) -> Text:
        for token_id in self.ids:
            if not sequence.finished:
                await sequence.force([token_id])
                sequence.commit()
        return sequence


@cache
def byte_tokenizer() -> Tokenizer:
    """Never asked: the prompts of these tests are token ids, or are spelled as they are."""
    return Tokenizer(byte_level({}))


def byte_level(vocabulary: dict[str, int]) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def of(engine: Engine, body: CompletionRequest, prompt: Prompt, request: GenerationRequest) -> list[Any]:
    """The choice in one piece, and the pieces of its stream."""

    async def both() -> list[Any]:
        answer = CompletionAnswer(HEAD, body, [prompt], TokenTexts(engine.vocabulary), byte_tokenizer())
        collected = await Generation.submit(engine, [request], Metrics()).collect()
        streamed = answer.chunks(Generation.submit(engine, [request], Metrics()))
        chunks = [
            Completion.model_validate_json(chunk) if isinstance(chunk, str) else chunk
            async for several in streamed
            for chunk in several
        ]
        return [answer.whole(collected).choices[0], [each for chunk in chunks for each in chunk.choices]]

    return asyncio.run(both())


def require_places(text: str, tokens: Sequence[str], offsets: Sequence[int]) -> None:
    """Every token stands at its offset; half of a character at the character, a token that a stop string cuts
    as far as there is text."""
    assert len(tokens) == len(offsets)
    assert list(offsets) == sorted(offsets)
    assert all(0 <= offset <= len(text) for offset in offsets)
    for token, offset in zip(tokens, offsets, strict=True):
        if not token.startswith("bytes:"):
            here = text[offset : offset + len(token)]
            assert token == here or (token.startswith(here) and offset + len(here) == len(text))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(IDS, min_size=1, max_size=5),
    st.lists(IDS, min_size=1, max_size=LONGEST),
    STOPS,
    st.sampled_from([(), (98,), (256,)]),
    st.booleans(),
    st.booleans(),
)
@example([97], [0xED, 0xED, 0xED], [], (), False, True)
@example([97], [97, END, 98, 97], [], (), False, True)
@example([97], [0xE2, END], [], (), False, False)
@example([0xE2, 0x82], [0xAC, 97], [], (), True, True)
@example([97], [97, 98, 97], ["aba"], (), True, True)
def test_every_token_stands_at_its_offset_and_the_stream_says_the_same(
    engine: Engine,
    prompt: list[int],
    ids: list[int],
    stops: list[str],
    stop_ids: tuple[int, ...],
    echo: bool,
    ignore_eos: bool,
) -> None:
    text = b"".join(TABLE[id_] for id_ in prompt).decode(errors="replace")
    fields: dict[str, Any] = {"prompt": prompt, "echo": echo, "logprobs": 2, "signals": ["entropy"]}
    body = CompletionRequest.model_validate(fields)
    request = ask(
        prompt,
        Dictated(tuple(ids)),
        max_tokens=LONGEST,
        stop=tuple(stops),
        stop_token_ids=stop_ids,
        ignore_eos=ignore_eos,
        signals=("entropy",),
        top_logprobs=2,
        score_prompt=scores_prompt(body),
    )
    whole, pieces = of(engine, body, Prompt("prompt", text, tuple(prompt)), request)
    logprobs = whole.logprobs
    require_places(whole.text, logprobs.tokens, logprobs.text_offset)
    assert "".join(piece.text for piece in pieces) == whole.text
    for column in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        streamed = [each for piece in pieces if piece.logprobs for each in getattr(piece.logprobs, column)]
        assert streamed == getattr(logprobs, column), column
    assert [row for piece in pieces for row in piece.signals or ()] == whole.signals
    for token, value, top in zip(
        logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True
    ):
        assert value is None or top[token] == value
    # What ended the text is the last of its rows, and nothing of the text.
    if whole.finish_reason == "stop" and whole.stop_reason in (None, *stop_ids):
        assert (logprobs.tokens[-1], logprobs.text_offset[-1]) == ("", len(whole.text))
        assert whole.signals[-1].token_id == (END if whole.stop_reason is None else whole.stop_reason)


@given(st.lists(IDS, min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_the_bytes_of_a_chat_are_its_text(engine: Engine, ids: list[int]) -> None:
    body = ChatRequest.model_validate(
        {"messages": [{"role": "user", "content": "a"}], "logprobs": True, "top_logprobs": 2}
    )
    request = ask((97,), Dictated(tuple(ids)), ignore_eos=False, stop_token_ids=(98,), top_logprobs=2)

    async def written() -> Any:
        answer = ChatAnswer(HEAD, body, TokenTexts(engine.vocabulary))
        return answer.whole(await Generation.submit(engine, [request], Metrics()).collect()).choices[0]

    choice = asyncio.run(written())
    rows = choice.logprobs.content
    assert (
        bytes(byte for row in rows for byte in row.bytes).decode(errors="replace") == choice.message.content
    )
    assert all(row.forced for row in rows)
    assert all(row.logprob < 0 for row in rows)
    if choice.stop_reason == 98 or END in ids[: len(rows)]:
        assert (rows[-1].token, rows[-1].bytes) == ("", [])


def spelled_otherwise() -> tuple[Tokenizer, list[bytes]]:
    """A tokenizer that puts a space before a text, as those of SentencePiece do, and has a special token."""
    pieces = ["<unk>", "\u2581", "\u2581aé", "b", "a", "é"]
    backend = tokenizers.Tokenizer(
        models.Unigram([(piece, -float(index)) for index, piece in enumerate(pieces)], unk_id=0)
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens([AddedToken("<s>", special=True)])
    tokenizer = Tokenizer(backend)
    table = [
        b"" if id_ in tokenizer.special_ids else tokenizer.token_bytes(id_)
        for id_ in range(tokenizer.vocab_size)
    ]
    return tokenizer, table


@pytest.mark.parametrize(
    ("text", "places"),
    [("aéb", [0, 2]), ("aéb aé", [0, 2, 3]), ("<s>aéb", [0, 3, 5]), ("b<s>b", [0, 0, 1, 4, 4])],
)
def test_tokens_of_an_echoed_prompt_stand_in_the_text_that_was_given(text: str, places: list[int]) -> None:
    tokenizer, table = spelled_otherwise()
    ids = tokenizer.encode(text)
    body = CompletionRequest.model_validate({"prompt": text, "echo": True, "logprobs": 0})
    prompt = Prompt("prompt", text, tuple(ids))
    answer = CompletionAnswer(HEAD, body, [prompt], TokenTexts(table), tokenizer)
    with Engine(TinyCheckpoint(tiny_model())) as engine:
        request = ask(ids, max_tokens=0, score_prompt=True)
        collected = asyncio.run(Generation.submit(engine, [request], Metrics()).collect())
        choice: CompletionChoice = answer.whole(collected).choices[0]
    assert choice.logprobs is not None
    assert choice.text == text
    assert choice.logprobs.text_offset == places


def test_a_text_up_to_the_context_has_a_row_for_each_token(engine: Engine) -> None:
    body = CompletionRequest.model_validate({"prompt": [97], "logprobs": 0})
    request = ask((97,), Dictated((98,) * CONTEXT), max_tokens=CONTEXT)
    whole, _ = of(engine, body, Prompt("prompt", "a", (97,)), request)
    assert len(whole.logprobs.tokens) == CONTEXT - 1
    assert whole.finish_reason == "length"
    assert VOCABULARY[98].decode() * (CONTEXT - 1) == whole.text
