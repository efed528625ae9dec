"""Any causal LM of the Hugging Face format in a local folder, as a `LanguageModel`.

Each slot owns one of transformers' caches, cropped to the caller's position before it grows; rows run one
after the other, so this is slower than `models.decoder`, but knows every architecture that transformers
knows. Nothing is downloaded, and code that a checkpoint brings along is not run."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.errors import ArtifactError, CapacityError
from models.language_model import ModelSpec, PrefillRow, StepOutput, check_cache_size, check_rows


class HubCache:
    """One of transformers' `DynamicCache` per slot."""

    def __init__(self, slots: int, length: int) -> None:
        from transformers import DynamicCache

        self.length = length
        self.rows = [DynamicCache() for _ in range(slots)]

    @property
    def slots(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of slot `source` over those of slot `target`."""
        duplicate = copy.deepcopy(self.rows[source])
        _crop(duplicate, length)
        self.rows[target] = duplicate


class HubModel:
    """A `LanguageModel` over a transformers model."""

    def __init__(self, network: Any, name: str) -> None:
        self._network = network
        config = network.config
        end = config.eos_token_id
        self.spec = ModelSpec(
            name=name,
            vocab_size=config.vocab_size,
            context_length=config.max_position_embeddings,
            d_model=config.hidden_size,
            n_layers=config.num_hidden_layers,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            end_token_id=end if isinstance(end, int) else None,
        )

    def new_cache(self, slots: int, length: int) -> HubCache:
        """An empty cache; see `LanguageModel`."""
        check_cache_size(self.spec, slots, length)
        return HubCache(slots, length)

    @torch.inference_mode()
    def prefill(
        self, cache: HubCache, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        """Append several tokens to each of several slots, ragged; see `LanguageModel`."""
        check_rows(cache, rows)
        outputs = [self._extend(cache, row, hidden_layers) for row in rows]
        return StepOutput(
            logits=torch.stack([output.logits[-1] for output in outputs]),
            hidden={
                layer: torch.stack([output.hidden[layer][-1] for output in outputs])
                for layer in hidden_layers
            },
        )

    def step(
        self,
        cache: HubCache,
        token_ids: Tensor,
        slots: Tensor,
        positions: Tensor,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        triples = zip(slots.tolist(), positions.tolist(), token_ids.tolist(), strict=True)
        return self.prefill(
            cache, [PrefillRow(slot, start, (id_,)) for slot, start, id_ in triples], hidden_layers
        )

    @torch.inference_mode()
    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits and hidden states at every position of one text; see `LanguageModel`."""
        cache = self.new_cache(1, len(token_ids))
        return self._extend(cache, PrefillRow(0, 0, tuple(token_ids)), hidden_layers)

    def _extend(self, cache: HubCache, row: PrefillRow, hidden_layers: Sequence[int]) -> StepOutput:
        """Run one row; the output has every one of its new positions."""
        past = cache.rows[row.slot]
        if past.get_seq_length() < row.start:
            raise CapacityError(
                f"slot {row.slot} holds {past.get_seq_length()} positions; the next cannot be {row.start}"
            )
        _crop(past, row.start)
        output = self._network(
            input_ids=torch.tensor([row.token_ids], device=self._network.device),
            past_key_values=past,
            use_cache=True,
            output_hidden_states=bool(hidden_layers),
        )
        # transformers gives the last layer's states after the final norm; ours are before it.
        return StepOutput(
            logits=output.logits[0].float(),
            hidden={layer: output.hidden_states[layer][0].float() for layer in hidden_layers},
        )


def load_hub_model(folder: Path, name: str, device: str) -> HubModel:
    """Load a local folder with `AutoModelForCausalLM`, in float32.

    Raises:
        ArtifactError: transformers cannot load it.
    """
    from transformers import AutoModelForCausalLM

    try:
        network = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ArtifactError(
            f"transformers cannot load {folder} as a causal language model: {error}"
        ) from error
    return HubModel(network.to(device).eval().requires_grad_(False), name)


def _crop(cache: Any, length: int) -> None:
    """Keep the first `length` positions; transformers counts the ones to drop, as a negative number."""
    surplus = cache.get_seq_length() - length
    if surplus > 0:
        cache.crop(-surplus)
