"""Any causal LM of the Hugging Face format in a local folder, as a `LanguageModel`.

Each slot owns one of transformers' caches, cropped to the caller's position before it grows; rows run one
after the other, so this is slower than `models.decoder`, but knows every architecture that transformers
knows and whose past can be cut short. Nothing is downloaded, and code that a checkpoint brings along is not
run."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import ArtifactError, CapacityError, first_line
from models.language_model import (
    EndTokens,
    Integers,
    ModelSpec,
    PrefillRow,
    StepOutput,
    check_cache_size,
    check_layers,
    check_rows,
    end_token_ids,
)


class HubCache:
    """One of transformers' `DynamicCache` per slot."""

    def __init__(self, slots: int, length: int) -> None:
        self.length = length
        self.rows = [_new_row() for _ in range(slots)]

    @property
    def slots(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copy positions `start` to `end` of slot `source` over those of slot `target`."""
        made = _new_row()
        for row, first, last in ((self.rows[target], 0, start), (self.rows[source], start, end)):
            for number, layer in enumerate(row.layers if first < last else ()):
                made.update(layer.keys[:, :, first:last], layer.values[:, :, first:last], number)
        self.rows[target] = made  # only now, so that a copy that fails leaves what was there


class HubModel:
    """A `LanguageModel` over a transformers model; `ends` are tokens that end a text besides its config's.

    Raises:
        ArtifactError: the model lacks a context length, keeps a past that cannot be cut short, or hides the
            residual stream between its blocks.
    """

    def __init__(self, network: Any, name: str, *ends: EndTokens) -> None:
        self._network = network
        config = network.config.get_text_config(decoder=True)
        _check_cache(config)
        vocab_size = _size(config, "vocab_size")
        self.spec = ModelSpec(
            name=name,
            vocab_size=vocab_size,
            context_length=_size(config, "max_position_embeddings"),
            d_model=_size(config, "hidden_size"),
            n_layers=_size(config, "num_hidden_layers"),
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            end_token_ids=end_token_ids(*_ends(network.config, config), *ends, vocab_size=vocab_size),
        )
        self._blocks = _find_blocks(network, self.spec.n_layers)

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
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        """Append one token to each of several slots; see `LanguageModel`."""
        triples = zip(slots, positions, token_ids, strict=True)
        rows = [PrefillRow(int(slot), int(start), (int(id_),)) for slot, start, id_ in triples]
        return self.prefill(cache, rows, hidden_layers)

    @torch.inference_mode()
    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        """Logits and hidden states at every position of one text; see `LanguageModel`."""
        cache = self.new_cache(1, len(token_ids))
        return self._extend(cache, PrefillRow(0, 0, tuple(token_ids)), hidden_layers)

    def _extend(self, cache: HubCache, row: PrefillRow, hidden_layers: Sequence[int]) -> StepOutput:
        """Run one row; the output has every one of its new positions."""
        check_layers(self.spec, hidden_layers)
        past = cache.rows[row.slot]
        if past.get_seq_length() < row.start:
            raise CapacityError(
                f"slot {row.slot} holds {past.get_seq_length()} positions; the next cannot be {row.start}"
            )
        _crop(past, row.start)
        with _residual_stream(self._blocks, hidden_layers) as states:
            output = self._network(
                input_ids=torch.tensor([row.token_ids], device=self._network.device),
                past_key_values=past,
                use_cache=True,
            )
        return StepOutput(
            logits=output.logits[0].float(),
            hidden={layer: states[layer][0].float() for layer in hidden_layers},
        )


def load_hub_network(folder: Path, device: str) -> Any:
    """The network of a local folder, loaded with `AutoModelForCausalLM`, in float32.

    Raises:
        ArtifactError: transformers cannot load it, it is no decoder, or its weights do not fit its config or
            are not finite.
    """
    from transformers import AutoModelForCausalLM

    _check_kind(folder)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # whatever the code of some architecture stumbles over in a damaged file
        raise _unloadable(error) from error
    network, report = loaded
    # transformers fills what is missing with random numbers.
    if absent := sorted(report["missing_keys"]):
        raise ArtifactError(f"the weights lack {', '.join(absent[:3])}")
    for parameter_name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ArtifactError(f"{parameter_name} holds NaN or infinity")
    network = network.to(torch.device(device)).eval().requires_grad_(False)
    _check_causal(network)
    return network


def _check_kind(folder: Path) -> None:
    """Refuse what transformers knows by its config to be no causal language model.

    Raises:
        ArtifactError: it is of another kind, or of none that transformers knows.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever some config's code stumbles over in a damaged file
        raise _unloadable(error) from error
    if config.is_encoder_decoder or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ArtifactError(_other_kind(config))


def _check_causal(network: Any) -> None:
    """Refuse a model that reads a text in both directions, which shows in what a later token changes.

    Raises:
        ArtifactError: it is no decoder.
    """
    device = network.device
    with torch.inference_mode():
        first, second = (
            network(input_ids=torch.tensor([[0, 0, last]], device=device), use_cache=False).logits[0, :2]
            for last in (0, 1)
        )
    if not torch.allclose(first, second, rtol=1e-4, atol=1e-4 * float(first.abs().max())):
        raise ArtifactError(_other_kind(network.config))


def _unloadable(error: Exception) -> ArtifactError:
    return ArtifactError(f"transformers cannot load it as a causal language model: {first_line(error)}")


def _other_kind(config: Any) -> str:
    made = ", ".join(config.architectures or [])
    return (
        f"a {config.model_type} model{f' ({made})' if made else ''} is no decoder: it does not continue a "
        "text word by word; give a causal language model, such as a LlamaForCausalLM or a GPT2LMHeadModel"
    )


def _size(config: Any, name: str) -> int:
    value = getattr(config, name, None)
    if not isinstance(value, int) or value < 1:
        raise ArtifactError(f"the {name} of a {config.model_type} model is {value!r}, not a number from 1 up")
    return value


def _ends(whole: Any, of_text: Any) -> list[EndTokens]:
    """What ends a text by the configs; of a model of texts and pictures it may stand in either."""
    return [getattr(config, "eos_token_id", None) for config in (of_text, whole)]


def _check_cache(config: Any) -> None:
    """Refuse recurrent and other layers whose past is not a list of keys and values."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    if odd := kinds - {DynamicLayer, DynamicSlidingWindowLayer}:
        raise ArtifactError(
            f"a {config.model_type} model keeps its past in {odd.pop().__name__}, which cannot be cut short; "
            "only models with attention layers throughout can be served"
        )


def _find_blocks(network: Any, n_layers: int) -> list[nn.Module]:
    """The model's blocks: the first list of as many modules as it has layers, checked by running them."""
    lists = (m for m in network.modules() if isinstance(m, nn.ModuleList) and len(m) == n_layers)
    blocks = list(next(lists, ()))
    layers = range(n_layers)  # transformers gives the last layer's states after the final norm, so not those
    try:
        with torch.inference_mode(), _residual_stream(blocks, layers) as states:
            token = torch.zeros(1, 1, dtype=torch.int64, device=network.device)
            expected = network(input_ids=token, output_hidden_states=True).hidden_states
        found = all(torch.equal(states[layer], expected[layer]) for layer in layers)
    except (LookupError, TypeError) as error:
        raise ArtifactError(f"a {network.config.model_type} model hides its blocks: {error}") from error
    if not found:
        raise ArtifactError(f"a {network.config.model_type} model hides its residual stream")
    return blocks


@contextmanager
def _residual_stream(blocks: Sequence[nn.Module], layers: Sequence[int]) -> Generator[dict[int, Tensor]]:
    """Collect the input of the first block, as layer 0, and the output of block k, as layer k, of a run."""
    states: dict[int, Tensor] = {}

    def keep_input(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states[0] = args[0] if args else kwargs["hidden_states"]

    def keep_output(layer: int, _block: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        states[layer] = output[0] if isinstance(output, tuple) else output

    handles = [
        blocks[layer - 1].register_forward_hook(partial(keep_output, layer))
        if layer > 0
        else blocks[0].register_forward_pre_hook(keep_input, with_kwargs=True)
        for layer in layers
    ]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def _new_row() -> Any:
    from transformers import DynamicCache

    # Without a config every layer keeps its whole past, also one that attends to a window of it.
    return DynamicCache()


def _crop(cache: Any, length: int) -> None:
    """Keep the first `length` positions; transformers counts the ones to drop, as a negative number."""
    surplus = cache.get_seq_length() - length
    if surplus > 0:
        cache.crop(-surplus)
