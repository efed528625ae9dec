"""Byte-level BPE trained on a corpus, in the standard `tokenizer.json` format.

A pre-tokenizer keeps our phrases together, so every noun, number and fixed phrase of the corpus is one token;
any other text falls back to bytes and round-trips exactly. `BPE(ignore_merges=True)` takes a whole phrase in
one go, so the intermediate merges that lead to it never occur in text: they are pruned, which keeps the
vocabulary, and with it the output layer, small.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers

from models.errors import ArtifactError, SpecError
from models.files import read_bytes

END_OF_TEXT = "<|endoftext|>"
_SPACE = "\u2581"
_BYTE = re.compile("<0x[0-9A-F]{2}>")
_LONG_TEXT = 4096
_SPACE_STEP = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}

# Alternatives in order: the sentence end with its space, line breaks, the given multi-word phrases, then
# words, numbers and punctuation, each with the space before it, as in GPT-2.
_SPLIT = r"\. |\n|{phrases} ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s"


class Tokenizer:
    """Text to token ids and back; ids are those of the checkpoint's `tokenizer.json`."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend
        self._spell = _speller(backend)
        self._added = {id_: token.content for id_, token in backend.get_added_tokens_decoder().items()}

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read a `tokenizer.json`.

        Raises:
            ArtifactError: the file is missing, is not a tokenizer, or one whose tokens are not pieces of text
                to be put end to end.
        """
        content = read_bytes(path)
        try:
            backend = tokenizers.Tokenizer.from_buffer(content)
        except Exception as error:  # the library raises bare Exception for every malformed file
            raise ArtifactError(f"{path} is not a tokenizer.json: {error}") from error
        try:
            return cls(backend)
        except ArtifactError as error:
            raise ArtifactError(f"{path}: {error}") from error

    @property
    def vocab_size(self) -> int:
        """Number of token ids, special tokens included."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    @cached_property
    def longest_token(self) -> int | None:
        """Bytes of the longest token, so that a text of so many bytes has at least one token for each.

        None where a token may stand for any length of text: where a normaliser may shorten it, or characters
        that are not in the vocabulary become one unknown token.
        """
        described: dict[str, Any] = json.loads(self._backend.to_str())
        model = described["model"]
        if model.get("unk_token") is not None and not model.get("byte_fallback"):
            return None
        normaliser: dict[str, Any] = described["normalizer"] or {}
        steps: list[dict[str, Any]] = normaliser.get("normalizers", [normaliser] if normaliser else [])
        if not all(step["type"] == "Prepend" or step == _SPACE_STEP for step in steps):
            return None
        return max(len(self.token_bytes(token_id)) for token_id in range(self.vocab_size))

    @property
    def end_token_id(self) -> int | None:
        """Id of `<|endoftext|>`, or None where the tokenizer has no such token."""
        return self._backend.token_to_id(END_OF_TEXT)

    def encode(self, text: str) -> list[int]:
        """Token ids of the text; no special token is added."""
        if len(text) <= _LONG_TEXT:
            return self._backend.encode(text, add_special_tokens=False).ids
        # Unlike `encode` this lets other threads run meanwhile, and a million characters take seconds.
        return self._backend.encode_batch_fast([text], add_special_tokens=False)[0].ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids; bytes that are not UTF-8 become the replacement character."""
        return b"".join(self.token_bytes(token_id) for token_id in token_ids).decode(
            "utf-8", errors="replace"
        )

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that one token stands for.

        Raises:
            SpecError: there is no such id.
        """
        if token_id in self._added:
            return self._added[token_id].encode()
        token = self._backend.id_to_token(token_id) if token_id >= 0 else None
        if token is None:
            raise SpecError(f"token id {token_id} is not in the vocabulary of {self.vocab_size} tokens")
        return self._spell(token)

    def phrase_id(self, phrase: str) -> int:
        """Id of a phrase that is one token.

        Raises:
            SpecError: it is not one token.
        """
        ids = self.encode(phrase)
        if len(ids) != 1:
            raise SpecError(f"{phrase!r} is {len(ids)} tokens, not one")
        return ids[0]

    def to_json(self) -> str:
        """The tokenizer as the text of its `tokenizer.json`."""
        return self._backend.to_str(pretty=True)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, so that `AutoTokenizer` loads the folder."""
        (folder / "tokenizer.json").write_text(self.to_json() + "\n", encoding="utf-8")
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END_OF_TEXT,
            "clean_up_tokenization_spaces": False,
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def train(texts: Iterable[str], phrases: Sequence[str] = ()) -> Tokenizer:
    """Train a tokenizer on texts; `phrases` are multi-word strings to keep together.

    Training merges until every chunk of the pre-tokenizer is one token, then drops the merges that no text
    of the corpus uses. The order of ids is deterministic: bytes first, then phrases in alphabetical order.
    """
    texts = list(texts)
    trained = _new_backend(models.BPE(), phrases)
    trainer = trainers.BpeTrainer(
        vocab_size=50_000,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    trained.train_from_iterator(texts, trainer)
    used = {token for encoding in trained.encode_batch(texts) for token in encoding.tokens}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = alphabet + sorted(used - set(alphabet))
    ids = {token: index for index, token in enumerate(vocabulary)}
    backend = _new_backend(models.BPE(vocab=ids, merges=[], ignore_merges=True), phrases)
    backend.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return Tokenizer(backend)


def _new_backend(model: models.BPE, phrases: Sequence[str]) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    alternatives = "".join(f"{phrase}|" for phrase in phrases)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT.format(phrases=alternatives)), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _speller(backend: tokenizers.Tokenizer) -> Callable[[str], bytes]:
    """A function from a token's name in the vocabulary to the bytes that it stands for."""
    decoder: Any = json.loads(backend.to_str())["decoder"] or {}
    parts = [decoder, *decoder.get("decoders", [])]
    kinds = {part.get("type") for part in parts}
    if "ByteLevel" in kinds:
        byte_of = _byte_alphabet()
        if set("".join(backend.get_vocab(with_added_tokens=False))) <= byte_of.keys():
            return lambda token: bytes(byte_of[character] for character in token)
    elif "Metaspace" in kinds or {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "} in parts:
        return _spell_sentencepiece
    raise ArtifactError(
        "its decoder is neither byte-level BPE nor that of SentencePiece; other tokenizers are not supported"
    )


def _spell_sentencepiece(token: str) -> bytes:
    """Bytes of a SentencePiece token: a space is written as a low line, a lone byte as `<0x0A>`."""
    if _BYTE.fullmatch(token):
        return bytes([int(token[3:5], 16)])
    return token.replace(_SPACE, " ").encode()


def _byte_alphabet() -> dict[str, int]:
    """The printable character of GPT-2's byte alphabet to the byte that it stands for.

    Printable Latin-1 bytes stand for themselves; the others take code points from 256 up, in order.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
