"""Checkpoint folders of several architectures, and transformers itself as the oracle of what they compute."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models import checkpoint
from models.tokenizer import Tokenizer
from tests.models.tiny import CONTEXT, VOCABULARY, randomise, tiny_network


def _llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            eos_token_id=7,
        )
    )


def _mistral() -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(
        MistralConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            sliding_window=5,
            eos_token_id=[7, 8],
        )
    )


def _gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=CONTEXT,
            n_embd=32,
            n_layer=2,
            n_head=4,
            tie_word_embeddings=False,
            scale_attn_by_inverse_layer_idx=True,
            bos_token_id=7,
            eos_token_id=7,
        )
    )


def _pythia() -> Any:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=VOCABULARY,
            max_position_embeddings=CONTEXT,
            hidden_size=32,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            eos_token_id=7,
        )
    )


FOREIGN: dict[str, Callable[[], Any]] = {
    "llama": _llama,
    "mistral": _mistral,
    "odd_gpt2": _gpt2,
    "pythia": _pythia,
}
KINDS = ("learned", "rotary", *FOREIGN)


def write_foreign(kind: str, folder: Path, tokenizer: Tokenizer) -> None:
    """Write a checkpoint folder as transformers writes it, random weights, in float32."""
    network = FOREIGN[kind]()
    randomise(network, seed=1)
    network.save_pretrained(folder)
    tokenizer.save(folder)


def write_checkpoint(kind: str, folder: Path, tokenizer: Tokenizer) -> None:
    """Write one of `KINDS`."""
    if kind == "learned" or kind == "rotary":
        checkpoint.save(folder, tiny_network(kind), tokenizer, {"made": "for tests"})
    else:
        write_foreign(kind, folder, tokenizer)


def _rounded(weight: Tensor) -> Tensor:
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / scale).round() * scale


@dataclass(frozen=True)
class Reference:
    """What transformers computes."""

    network: Any

    @classmethod
    def load(cls, folder: Path) -> "Reference":
        from transformers import AutoModelForCausalLM

        network = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )
        return cls(network.eval())

    @torch.no_grad()
    def round_weights(self) -> None:
        """Leave of matrices what int8 does, the embedding's among them."""
        from transformers.pytorch_utils import Conv1D

        for module in self.network.modules():
            if isinstance(module, Conv1D):
                module.weight.copy_(_rounded(module.weight.T).T)
            elif isinstance(module, torch.nn.Linear) or module is self.network.get_input_embeddings():
                module.weight.copy_(_rounded(module.weight))

    @torch.inference_mode()
    def score(self, token_ids: list[int]) -> tuple[Tensor, list[Tensor]]:
        """Logits (T, V), and the residual stream (T, D) from the embedding to the input of the final norm."""
        norms = ("transformer.ln_f", "gpt_neox.final_layer_norm", "model.norm")
        (final_norm,) = (module for name, module in self.network.named_modules() if name in norms)
        seen: list[Tensor] = []

        def keep_input(_module: torch.nn.Module, args: tuple[Tensor]) -> None:
            seen.append(args[0][0])

        handle = final_norm.register_forward_pre_hook(keep_input)
        output = self.network(torch.tensor([token_ids]), output_hidden_states=True, use_cache=False)
        handle.remove()
        (last,) = seen
        return output.logits[0], [*(states[0] for states in output.hidden_states[:-1]), last]
