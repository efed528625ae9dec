"""The network of a local folder, by transformers. Nothing is downloaded, no code of a checkpoint is run."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.errors import ArtifactError, first_line


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
        if not _is_finite(parameter):
            raise ArtifactError(f"{parameter_name} holds NaN or infinity")
    network = network.to(torch.device(device)).eval().requires_grad_(False)
    _check_causal(network)
    return network


def _is_finite(parameter: Tensor) -> bool:
    """Whether all numbers are. What is not finite stays so in a sum, which takes a thirtieth of the time."""
    return bool(torch.isfinite(parameter.sum())) or bool(torch.isfinite(parameter).all())


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
