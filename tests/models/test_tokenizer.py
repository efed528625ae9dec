import os
import subprocess
import sys
from itertools import islice, product
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers

from models.corpora.igsm.dataset import problems
from models.corpora.igsm.graph import draw_problem
from models.corpora.igsm.spec import NOUNS, IgsmSpec
from models.corpora.igsm.text import (
    problem_phrases,
    render_problem,
    render_solution,
    solution_phrases,
    vocabulary,
)
from models.corpora.igsm.vocabulary import igsm_tokenizer
from models.errors import ArtifactError, SpecError
from models.tokenizer import END_OF_TEXT, Tokenizer

SPEC = IgsmSpec()
ODD = f"né \x00\x07\ta{END_OF_TEXT}b  \r\n\u2028 \U0001f6f6 ﷺ\u0301 \ufffd<|endof text|> 12 times  kites."


@pytest.fixture(scope="module")
def folder(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save(path)
    return path


@pytest.fixture(scope="module")
def auto_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_every_phrase_of_the_corpus_is_one_token(tokenizer: Tokenizer) -> None:
    for phrase in (*vocabulary(SPEC), END_OF_TEXT):
        assert tokenizer.token_bytes(tokenizer.phrase_id(phrase)) == phrase.encode()
    nouns = [form for noun in NOUNS for form in (noun.capitalize(), f" {noun}")]
    assert len({tokenizer.phrase_id(form) for form in nouns}) == 120


@pytest.mark.parametrize(
    "spec",
    [
        IgsmSpec(op_max=1, ood_extra=0, distractors_max=1, nouns=4),
        IgsmSpec(op_max=2, ood_extra=0, distractors_max=0, nouns=4),
        IgsmSpec(modulus=99),
    ],
)
def test_phrases_that_no_sample_of_the_corpus_has_are_tokens_too(spec: IgsmSpec) -> None:
    tokenizer = igsm_tokenizer(spec)
    assert tokenizer.vocab_size == 256 + 1 + len(set(vocabulary(spec)) - {"\n", "?", "."})
    for phrase in vocabulary(spec):
        tokenizer.phrase_id(phrase)


def test_text_has_one_token_per_phrase(tokenizer: Tokenizer) -> None:
    for problem in islice(problems(SPEC, "test", 1, range(1, 10)), 200):
        phrases = [*problem_phrases(problem), *solution_phrases(problem), END_OF_TEXT]
        text = f"{render_problem(problem)}\n{render_solution(problem)}{END_OF_TEXT}"
        assert tokenizer.encode(text) == [tokenizer.phrase_id(phrase) for phrase in phrases]
        # The prompt alone and what follows it are the same tokens as both together.
        prompt = tokenizer.encode(render_problem(problem))
        assert tokenizer.encode(text)[: len(prompt)] == prompt


def test_vocabulary_has_the_bytes_the_phrases_and_little_else(tokenizer: Tokenizer) -> None:
    names = [tokenizer.token_bytes(token_id) for token_id in range(tokenizer.vocab_size)]
    assert len(set(names)) == len(names)
    single = {bytes([byte]) for byte in range(256)}
    assert single <= set(names)
    assert set(names) - single <= {phrase.encode() for phrase in (*vocabulary(SPEC), END_OF_TEXT)}


def test_document_of_five_operations_and_three_distractors_is_at_most_110_tokens(
    tokenizer: Tokenizer,
) -> None:
    random = Random(0)
    lengths = [
        len(tokenizer.encode(f"{render_problem(p)}\n{render_solution(p)}{END_OF_TEXT}"))
        for p in (draw_problem(random, SPEC, 5, 3) for _ in range(1000))
    ]
    assert max(lengths) <= 110


def test_training_is_deterministic(tokenizer: Tokenizer) -> None:
    code = (
        "from models.corpora.igsm.spec import IgsmSpec; from models.corpora.igsm.vocabulary import "
        "igsm_tokenizer; print(igsm_tokenizer(IgsmSpec()).to_json(), end='')"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert other.stdout == tokenizer.to_json()


@given(st.text())
@example(ODD)
@settings(max_examples=200)
def test_any_text_round_trips(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


@given(st.text())
@example(ODD)
def test_auto_tokenizer_agrees_id_for_id(tokenizer: Tokenizer, auto_tokenizer: Any, text: str) -> None:
    assert auto_tokenizer.encode(text, add_special_tokens=False) == tokenizer.encode(text)


@given(st.lists(st.integers(0, 399)))
@example([0xE2, 0x82])
def test_auto_tokenizer_decodes_any_ids_alike(
    tokenizer: Tokenizer, auto_tokenizer: Any, ids: list[int]
) -> None:
    assert auto_tokenizer.decode(ids) == tokenizer.decode(ids)


def test_auto_tokenizer_knows_the_end_token(tokenizer: Tokenizer, auto_tokenizer: Any) -> None:
    assert auto_tokenizer.eos_token == END_OF_TEXT
    assert auto_tokenizer.eos_token_id == tokenizer.end_token_id == tokenizer.phrase_id(END_OF_TEXT)
    assert len(auto_tokenizer) == tokenizer.vocab_size


def test_saved_tokenizer_loads_as_the_same(tokenizer: Tokenizer, folder: Path) -> None:
    loaded = Tokenizer.load(folder / "tokenizer.json")
    assert loaded.to_json() == tokenizer.to_json()
    assert loaded.encode(ODD) == tokenizer.encode(ODD)


@pytest.mark.parametrize("token_id", [-1, 400, 10**9])
def test_id_outside_the_vocabulary_is_refused(tokenizer: Tokenizer, token_id: int) -> None:
    with pytest.raises(SpecError, match=f"token id {token_id} is not in the vocabulary of 400 tokens"):
        tokenizer.token_bytes(token_id)


def test_phrase_of_several_tokens_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(SpecError, match="'xy' is 2 tokens, not one"):
        tokenizer.phrase_id("xy")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"null", b'{"model": 1}', b"\xff\xfe", b'{"model": {"type": "BPE"}}'],
)
def test_malformed_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"tokenizer\.json is not a tokenizer\.json: "):
        Tokenizer.load(path)


def test_cut_file_is_refused_by_name(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.to_json()[:-200], encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json is not a tokenizer\.json"):
        Tokenizer.load(path)


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read .*tokenizer\.json: No such file"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def sentencepiece() -> tokenizers.Tokenizer:
    """As Llama's tokenizer: spaces are written as low lines, what is no word falls back to bytes."""
    words = ["▁boats", "▁are", "kites"]
    pieces = [word[:end] for word in words for end in range(2, len(word) + 1)]
    letters = sorted(set("".join(words)))
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *pieces]
    ids = {name: token_id for token_id, name in enumerate(dict.fromkeys(names))}
    merges = [(piece[:-1], piece[-1]) for piece in dict.fromkeys(pieces)]
    backend = tokenizers.Tokenizer(models.BPE(ids, merges, byte_fallback=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.add_special_tokens([AddedToken("</s>", special=True)])
    return backend


def written(backend: tokenizers.Tokenizer, folder: Path) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(backend.to_str(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def llama_like(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.load(written(sentencepiece(), tmp_path_factory.mktemp("sentencepiece")))


@given(st.text().filter(lambda text: "▁" not in text))
@example("kites boats are né\n  <0x41></s>\U0001f6f6 <unk>")
def test_sentencepiece_tokens_spell_the_text(llama_like: Tokenizer, text: str) -> None:
    ids = llama_like.encode(text)
    assert llama_like.decode(ids) == text == sentencepiece().decode(ids, skip_special_tokens=False)


def test_sentencepiece_words_are_tokens(llama_like: Tokenizer) -> None:
    ids = llama_like.encode("kites boats are")
    assert [llama_like.token_bytes(token_id) for token_id in ids] == [b"kites", b" boats", b" are"]
    assert llama_like.end_token_id is None


def test_one_without_a_token_for_unknown_text_is_refused() -> None:
    backend = tokenizers.Tokenizer(models.BPE({"a": 0}, [], unk_token="<unk>"))
    backend.decoder = decoders.Metaspace()
    with pytest.raises(ArtifactError, match=r"cannot encode every text: .*<unk>"):
        Tokenizer(backend)


def test_tokenizer_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    for decoder in (None, decoders.WordPiece()):
        backend.decoder = decoder
        with pytest.raises(
            ArtifactError, match=r"tokenizer\.json: its decoder is neither byte-level BPE nor"
        ):
            Tokenizer.load(written(backend, tmp_path))
    backend.decoder = decoders.ByteLevel()
    backend.model = models.BPE({"a": 0, "Δ": 1}, [])
    with pytest.raises(ArtifactError, match="byte-level"):
        Tokenizer.load(written(backend, tmp_path))


def test_a_vocabulary_of_262144_is_ready_in_seconds() -> None:
    """Its size was counted anew for every id: 1.3 ms each, five minutes for all."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [
        *letters,
        *map("".join, product(letters, repeat=2)),
        *map("".join, product(letters[:60], repeat=3)),
    ]
    names = [
        f"{letters[97]}{number:b}" if number >= len(names) else names[number] for number in range(262_144)
    ]
    names = [name.replace("0", "a").replace("1", "b") if len(name) > 3 else name for name in names]
    backend = tokenizers.Tokenizer(models.BPE({name: id_ for id_, name in enumerate(names)}, []))
    backend.decoder = decoders.ByteLevel()
    began = process_time()
    tokenizer = Tokenizer(backend)
    assert tokenizer.vocab_size == 262_144
    spelled = [tokenizer.token_bytes(id_) for id_ in range(tokenizer.vocab_size)]
    assert process_time() - began < 10
    assert len(set(spelled)) == 262_144


def test_a_long_text_has_the_ids_of_its_sentences() -> None:
    """Long texts go another way, which lets other threads run."""
    tokenizer = igsm_tokenizer(IgsmSpec())
    sentence = "Boats are 3 times kites. é\n"
    assert tokenizer.encode(sentence * 1000) == tokenizer.encode(sentence) * 1000


def test_no_text_has_fewer_tokens_than_the_longest_token_allows() -> None:
    tokenizer = igsm_tokenizer(IgsmSpec())
    longest = tokenizer.longest_token
    assert longest is not None
    spelled = [tokenizer.token_bytes(token_id) for token_id in range(tokenizer.vocab_size)]
    assert longest == max(map(len, spelled))
    for text in ("", "a", "kites " * 50, "é\n" * 9, "<|endoftext|>" * 3):
        assert len(text.encode()) <= longest * len(tokenizer.encode(text))


@pytest.mark.parametrize(
    ("normaliser", "bounded"),
    [
        (None, True),
        (normalizers.Replace(" ", "▁"), True),
        (normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), True),
        (normalizers.NFKC(), False),
        (normalizers.Sequence([normalizers.Strip(), normalizers.Replace(" ", "▁")]), False),
    ],
)
def test_where_a_normaliser_may_shorten_a_text_no_length_is_too_long(normaliser: Any, bounded: bool) -> None:
    backend = tokenizers.Tokenizer(models.BPE(vocab={"a": 0, "▁": 1}, merges=[]))
    backend.decoder = decoders.Metaspace()
    if normaliser is not None:
        backend.normalizer = normaliser
    assert (Tokenizer(backend).longest_token is not None) == bounded
