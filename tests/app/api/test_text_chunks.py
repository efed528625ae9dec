"""Chunks with nothing but text are those of the models, character for character."""

from hypothesis import given
from hypothesis import strategies as st

from app.api.schemas.responses import ChatChunk, ChatChunkChoice, Completion, CompletionChoice, Delta
from app.api.text_chunks import TextChunks

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))  # no halves of surrogate pairs: no text has them


@given(name=TEXTS, said=st.lists(st.tuples(st.integers(0, 3), TEXTS), max_size=5))
def test_a_completions_chunk_is_what_its_model_writes(name: str, said: list[tuple[int, str]]) -> None:
    def chunk(index: int, text: str) -> Completion:
        choice = CompletionChoice(index=index, text=text)
        return Completion(id=name, created=1, model=name, system_fingerprint=name, seed=2, choices=[choice])

    plain = TextChunks("text", lambda index: chunk(index, ""))
    for index, text in said:
        assert plain.json(index, text) == chunk(index, text).model_dump_json()


@given(name=TEXTS, said=st.lists(st.tuples(st.integers(0, 3), TEXTS), max_size=5))
def test_a_chats_chunk_is_what_its_model_writes(name: str, said: list[tuple[int, str]]) -> None:
    def chunk(index: int, text: str) -> ChatChunk:
        choice = ChatChunkChoice(index=index, delta=Delta(content=text))
        return ChatChunk(id=name, created=1, model=name, system_fingerprint=name, seed=2, choices=[choice])

    plain = TextChunks("content", lambda index: chunk(index, ""))
    for index, text in said:
        assert plain.json(index, text) == chunk(index, text).model_dump_json()
