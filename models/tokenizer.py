"""Byte-level BPE trained on a corpus, in the standard `tokenizer.json` format.

A pre-tokenizer keeps our phrases together, so every noun, number and fixed phrase of the corpus is one token;
any other text falls back to bytes and round-trips exactly. `BPE(ignore_merges=True)` takes a whole phrase in
one go, so the intermediate merges that lead to it never occur in text: they are pruned, which keeps the
vocabulary, and with it the output layer, small.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers

from models.chat_template import ChatTemplate
from models.errors import ArtifactError, SpecError, first_line, is_failure
from models.files import read_bytes
from models.token_spelling import SPACE, spelled

TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, CHAT_TEMPLATE_FILE = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
END_OF_TEXT = "<|endoftext|>"
OWN_SPECIAL_TOKENS: Mapping[str, str] = {"eos_token": END_OF_TEXT}
OWN_CONFIG: Mapping[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    **OWN_SPECIAL_TOKENS,
    "clean_up_tokenization_spaces": False,
}
"""The `tokenizer_config.json` of tokenizers that are trained here; it adds nothing to `tokenizer.json`."""

_LONG_TEXT = 4096
_RARE = "a \x00\u2028\U0001f6f6"
"""Characters that hardly any vocabulary has."""
_SPACE_STEP = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}

# Alternatives in order: the sentence end with its space, line breaks, the given multi-word phrases, then
# words, numbers and punctuation, each with the space before it, as in GPT-2.
_SPLIT = r"\. |\n|{phrases} ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s"


class Tokenizer:
    """Text to token ids and back; ids are those of the checkpoint's `tokenizer.json`.

    Attributes:
        vocab_size: one more than the highest token id, special tokens included.
        vocabulary: the bytes that each id stands for; of a special token, its name.
        end_token_id: the token that ends a text, if there is one.
        special_ids: tokens that stand for no text, such as those that begin a text or end a turn.
        chat_template: how a chat becomes a prompt; None for a model that was not made for chats.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        chat_template: ChatTemplate | None = None,
        end_token_id: int | None = None,
    ) -> None:
        """`end_token_id` is that of `<|endoftext|>` unless it is given.

        Raises:
            ArtifactError: it has no tokens for some texts, or they are spelled in no way that is known here.
        """
        # A file may ask for inputs to be cut or filled up to a length, which is for batches of training.
        backend.no_truncation()
        backend.no_padding()
        _require_any_text(backend)
        self._backend = backend
        # Asked for once: the library counts or copies the whole vocabulary each time.
        added = backend.get_added_tokens_decoder()
        self.vocabulary: Sequence[bytes] = spelled(
            backend, {id_: token.content for id_, token in added.items()}
        )
        self.vocab_size = len(self.vocabulary)
        self.special_ids = frozenset(id_ for id_, token in added.items() if token.special)
        self._special_names = tuple(token.content for token in added.values() if token.special)
        self.chat_template = chat_template
        self.end_token_id: int | None = (
            backend.token_to_id(END_OF_TEXT) if end_token_id is None else end_token_id
        )

    @classmethod
    def load(cls, path: Path, chat_template: ChatTemplate | None = None) -> "Tokenizer":
        """Read a `tokenizer.json`.

        Raises:
            ArtifactError: the file is missing, is not a tokenizer, or one whose tokens are not pieces of text
                to be put end to end.
        """
        content = read_bytes(path)
        try:
            backend = tokenizers.Tokenizer.from_buffer(content)
        except BaseException as error:  # the library raises bare Exception for every malformed file
            if not is_failure(error):
                raise
            raise ArtifactError(f"{path} is not a tokenizer.json: {error}") from error
        try:
            return cls(backend, chat_template)
        except ArtifactError as error:
            raise ArtifactError(f"{path}: {error}") from error

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
        return max(map(len, self.vocabulary))

    def encode(self, text: str) -> list[int]:
        """Token ids of a piece of text; no special token is added."""
        return self.encode_prompt(text, add_special_tokens=False)

    def encode_prompt(
        self, text: str, *, add_special_tokens: bool = True, parse_special: bool = True
    ) -> list[int]:
        """Token ids of a text that the model is to go on from, with the special tokens that its training put
        around texts: for most models one that begins a text.

        Args:
            add_special_tokens: false for a text that has them already, as what a chat template renders.
            parse_special: false takes the name of a special token in the text for the letters that it is
                written with.
        """
        backend = self._backend
        if not parse_special and any(name in text for name in self._special_names):
            backend = self._literal
        if len(text) <= _LONG_TEXT:
            return backend.encode(text, add_special_tokens=add_special_tokens).ids
        # Unlike `encode` this lets other threads run meanwhile, and a million characters take seconds.
        return backend.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0].ids

    @cached_property
    def _literal(self) -> tokenizers.Tokenizer:
        """A second one that finds no special token in a text; made when it is first needed, since a large
        vocabulary takes seconds, and the setting of one cannot change while other threads use it."""
        copy = tokenizers.Tokenizer.from_str(self._backend.to_str())
        copy.encode_special_tokens = True
        return copy

    def places(self, text: str, token_ids: Sequence[int]) -> list[int] | None:
        """Where in a text each of its tokens begins, in characters; None if they are not those of the text.

        Special tokens that were added to it have a place too.
        """
        for special in (False, True):
            encoding = self._backend.encode(text, add_special_tokens=special)
            if encoding.ids == list(token_ids):
                return [start for start, _ in encoding.offsets]
        return None

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """Text of the ids; bytes that are not UTF-8 become the replacement character."""
        skipped = self.special_ids if skip_special_tokens else frozenset[int]()
        return b"".join(
            self.token_bytes(token_id) for token_id in token_ids if token_id not in skipped
        ).decode("utf-8", errors="replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that one token stands for; of a special token, its name.

        Raises:
            SpecError: there is no such id.
        """
        if not 0 <= token_id < self.vocab_size:
            raise SpecError(f"token id {token_id} is not in the vocabulary of {self.vocab_size} tokens")
        return self.vocabulary[token_id]

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
        """Write `tokenizer.json`, `tokenizer_config.json` and the chat template, so that `AutoTokenizer`
        loads the folder."""
        (folder / TOKENIZER_FILE).write_text(self.to_json() + "\n", encoding="utf-8")
        (folder / TOKENIZER_CONFIG_FILE).write_text(json.dumps(OWN_CONFIG, indent=2) + "\n", encoding="utf-8")
        template = folder / CHAT_TEMPLATE_FILE
        if self.chat_template is not None:
            template.write_text(self.chat_template.source, encoding="utf-8")
        else:
            template.unlink(missing_ok=True)  # of what was saved there before


def _require_any_text(backend: tokenizers.Tokenizer) -> None:
    try:
        backend.encode(_RARE)
    except BaseException as error:  # as for a file that is malformed, for unknown text without a token
        if not is_failure(error):
            raise
        raise ArtifactError(f"it cannot encode every text: {first_line(error)}") from error


def train(
    texts: Iterable[str], phrases: Sequence[str] = (), chat_template: ChatTemplate | None = None
) -> Tokenizer:
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
    return Tokenizer(backend, chat_template)


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
