"""The networks that every engine computes, as folders of transformers' format; those of GPT-2 are random."""

import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel
from tokenizers.models import BPE

from app.settings import EMBEDDED_CHECKPOINT

OURS = "ours"
"""Link in a network's folder to the one that demur has the same from."""


def made(name: str, folder: Path) -> Path:
    """The folder of a network of `NETWORKS`, made unless it is there."""
    target = folder / name
    if not target.exists():
        partly = target.with_suffix(".partial")
        shutil.rmtree(partly, ignore_errors=True)
        NETWORKS[name](partly)
        partly.replace(target)
    return target


def _embedded(target: Path) -> None:
    """Its weights in float32, as the engines compute, for transformers 4 too; `ours` is what probes know."""
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(EMBEDDED_CHECKPOINT, dtype=torch.float32)
    shutil.copytree(EMBEDDED_CHECKPOINT, target)
    network.save_pretrained(target)
    path = target / "config.json"
    config = json.loads(path.read_text())
    rope = config["rope_parameters"]
    (target / OURS).symlink_to(EMBEDDED_CHECKPOINT.resolve())
    path.write_text(json.dumps(config | {"rotary_emb_base": rope["rope_theta"], "rotary_pct": 1.0}, indent=2))


def _random_gpt2(target: Path, layers: int, width: int, heads: int, vocabulary: int) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    end = vocabulary - 1
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=1024,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        bos_token_id=end,
        eos_token_id=end,
    )
    GPT2LMHeadModel(config).save_pretrained(target)
    words = {f"t{number}": number for number in range(vocabulary)}
    ends = dict.fromkeys(("bos_token", "eos_token", "unk_token"), f"t{end}")
    tokenizer = Tokenizer(BPE(words, merges=[], ignore_merges=True))
    tokenizer.decoder = ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ends).save_pretrained(target)
    # transformers 4 knows it by this name only.
    path = target / "tokenizer_config.json"
    named = json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(named, indent=2))


NETWORKS: Mapping[str, Callable[[Path], None]] = {
    "igsm": _embedded,
    "gpt2-11m": partial(_random_gpt2, layers=6, width=384, heads=6, vocabulary=1024),
    "gpt2-124m": partial(_random_gpt2, layers=12, width=768, heads=12, vocabulary=50257),
}
