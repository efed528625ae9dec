"""Tiny checkpoint folders in the manner of well-known families: what their tokenizers add, how their chats
are written, and how many tokens end a text. Random weights, templates of our own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.models.tiny import randomise

CONTEXT = 512
_CORPUS = [
    "Water boils at a temperature of 100 degrees. Who are you? You are a helpful assistant.",
    "Les élèves étudient la chimie à l'école; where is the naïve café? 12 + 30 = 42",
    "user model assistant system: kites are 7, boats are 3 times kites. How many boats?",
]
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}


@dataclass(frozen=True)
class Family:
    """A folder in the manner of one family.

    Attributes:
        write: makes the folder.
        begins: the special token that begins a prompt; None where there is none.
        ends: the tokens that end a text, `config.json`'s first.
    """

    write: Callable[[Path], None]
    begins: str | None
    ends: tuple[str, ...]


def _byte_level(specials: list[str], others: tuple[str, ...] = ()) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=350, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    backend.train_from_iterator(_CORPUS, trainer)
    backend.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in specials])
    backend.add_tokens([AddedToken(each, special=False, normalized=False) for each in others])
    return backend


def _sentencepiece(specials: list[str]) -> tokenizers.Tokenizer:
    """Special tokens come first, then bytes, as SentencePiece numbers them."""
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trained.train_from_iterator(_CORPUS, trainers.BpeTrainer(vocab_size=150, show_progress=False))
    learned = json.loads(trained.to_str())["model"]
    names = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    ids = {name: number for number, name in enumerate(names)}
    merges = [(first, second) for first, second in learned["merges"]]
    model = models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    backend = tokenizers.Tokenizer(model)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in specials])
    return backend


def _write(folder: Path, network: Any, backend: tokenizers.Tokenizer, settings: dict[str, Any]) -> None:
    randomise(network, seed=1)
    network.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(backend.to_str(), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _write_ends(folder: Path, backend: tokenizers.Tokenizer, *names: str) -> None:
    ids = [backend.token_to_id(name) for name in names]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}), encoding="utf-8")


_HEADERS = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' "
    "+ m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def _llama(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    begin, end, turn = "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"
    backend = _byte_level([begin, end, "<|start_header_id|>", "<|end_header_id|>", turn])
    begins = backend.token_to_id(begin)
    backend.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, begins)]
            ),
        ]
    )
    config = LlamaConfig(
        vocab_size=backend.get_vocab_size() + 3,  # a padded vocabulary
        bos_token_id=begins,
        eos_token_id=backend.token_to_id(end),
        **_SIZES,
    )
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": begin,
        "eos_token": turn,
        "chat_template": _HEADERS,
    }
    _write(folder, LlamaForCausalLM(config), backend, settings)
    _write_ends(folder, backend, end, turn)


_TURNS = """{%- if messages[0].role != 'system' -%}
<|im_start|>system
You are made for a test.<|im_end|>
{% endif -%}
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content.split('</think>')[-1] if message.role == 'assistant' else message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def _qwen(folder: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    end, turn = "<|endoftext|>", "<|im_end|>"
    backend = _byte_level([end, "<|im_start|>", turn], ("<think>", "</think>"))
    config = Qwen2Config(vocab_size=backend.get_vocab_size(), eos_token_id=backend.token_to_id(end), **_SIZES)
    settings = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": turn, "pad_token": end, "bos_token": None}
    _write(folder, Qwen2ForCausalLM(config), backend, settings)
    (folder / "chat_template.jinja").write_text(_TURNS, encoding="utf-8")


_INSTRUCTIONS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
    "{{ raise_exception('a system message comes first') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% endif %}"
    "{% if not loop.last and m.role == loop.nextitem.role %}"
    "{{ raise_exception('roles alternate: user, assistant, user') }}{% endif %}{% endfor %}"
)


def _mistral(folder: Path, *, begins: bool = True) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    backend = _sentencepiece(["<unk>", "<s>", "</s>"])
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    if begins:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
        )
    config = MistralConfig(
        vocab_size=backend.get_vocab_size(), bos_token_id=1, eos_token_id=2, sliding_window=None, **_SIZES
    )
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "chat_template": [
            {"name": "tool_use", "template": "tools"},
            {"name": "default", "template": _INSTRUCTIONS},
        ],
    }
    _write(folder, MistralForCausalLM(config), backend, settings)


_PARTS = (
    "{{ bos_token }}{% for m in messages if m.role != 'system' %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{% if loop.first and messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}"
    "{% if m.content is string %}{{ m.content | trim }}"
    "{% else %}{% for part in m.content %}{{ part.text | trim }}{% endfor %}{% endif %}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def _gemma(folder: Path) -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    backend = _sentencepiece(specials)
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 2)]
    )
    config = Gemma3TextConfig(
        vocab_size=backend.get_vocab_size(),
        head_dim=8,
        bos_token_id=2,
        eos_token_id=[1, 5],
        pad_token_id=0,
        **_SIZES,
    )
    settings = {
        "tokenizer_class": "GemmaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    _write(folder, Gemma3ForCausalLM(config), backend, settings)
    (folder / "chat_template.jinja").write_text(_PARTS, encoding="utf-8")


FAMILIES = {
    "llama": Family(_llama, "<|begin_of_text|>", ("<|end_of_text|>", "<|eot_id|>")),
    "qwen": Family(_qwen, None, ("<|endoftext|>", "<|im_end|>")),
    "mistral": Family(_mistral, "<s>", ("</s>",)),
    # Its tokenizer.json adds nothing, whatever its settings say; transformers goes by the former.
    "mistral_without": Family(partial(_mistral, begins=False), None, ("</s>",)),
    "gemma": Family(_gemma, "<bos>", ("<eos>", "<end_of_turn>")),
}
