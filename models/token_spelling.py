"""Which bytes the tokens of a `tokenizer.json` stand for, in the spellings of GPT-2 and of SentencePiece."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tokenizers

from models.errors import ArtifactError

SPACE = "\u2581"
"""SentencePiece's space."""
_BYTE = re.compile("<0x[0-9A-F]{2}>")


def spelled(backend: tokenizers.Tokenizer, added: Mapping[int, str]) -> list[bytes]:
    """The bytes that each id stands for; none where a vocabulary leaves an id out.

    Args:
        added: names of the tokens that are no part of what was learned, by id.

    Raises:
        ArtifactError: the tokens are spelled in no way that is known here.
    """
    vocabulary = backend.get_vocab(with_added_tokens=True)
    spell = _speller(backend, (name for name, id_ in vocabulary.items() if id_ not in added))
    table = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for id_, spelled in zip(vocabulary.values(), spell(vocabulary), strict=True):
        table[id_] = spelled
    for id_, name in added.items():
        # They are found in a text as they are written; but Gemma adds runs of spaces, as low lines.
        table[id_] = name.encode() if spell is not _spell_sentencepiece else spell([name])[0]
    return table


Speller = Callable[[Iterable[str]], list[bytes]]
"""From names of tokens in the vocabulary to the bytes that they stand for. Of all names at once, as there may
be hundreds of thousands; of those that are no learned tokens, whatever it may be."""


def _speller(backend: tokenizers.Tokenizer, learned: Iterable[str]) -> Speller:
    """How the learned tokens are spelled.

    Raises:
        ArtifactError: in no way that is known here.
    """
    decoder: Any = json.loads(backend.decoder.__getstate__()) if backend.decoder else {}
    parts = [decoder, *decoder.get("decoders", [])]
    kinds = {part.get("type") for part in parts}
    if "ByteLevel" in kinds:
        if set("".join(learned)) <= _byte_alphabet().keys():
            return _spell_byte_level
    elif "Metaspace" in kinds or {"type": "Replace", "pattern": {"String": SPACE}, "content": " "} in parts:
        return _spell_sentencepiece
    raise ArtifactError(
        "its decoder is neither byte-level BPE nor that of SentencePiece; other tokenizers are not supported"
    )


def _spell_byte_level(names: Iterable[str]) -> list[bytes]:
    """Bytes of tokens in GPT-2's alphabet. Other characters, which only added tokens have, are left out."""
    byte_of = str.maketrans({character: chr(byte) for character, byte in _byte_alphabet().items()})
    return [name.translate(byte_of).encode("latin-1", errors="ignore") for name in names]


def _spell_sentencepiece(names: Iterable[str]) -> list[bytes]:
    """Bytes of SentencePiece tokens: a space is written as a low line, a lone byte as `<0x0A>`."""
    return [
        bytes([int(name[3:5], 16)])
        if name[:3] == "<0x" and _BYTE.fullmatch(name)
        else name.replace(SPACE, " ").encode()
        for name in names
    ]


def _byte_alphabet() -> dict[str, int]:
    """The printable character of GPT-2's byte alphabet to the byte that it stands for.

    Printable Latin-1 bytes stand for themselves; the others take code points from 256 up, in order.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
