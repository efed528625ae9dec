"""The network of a local folder, by transformers. Nothing is downloaded, no code of a checkpoint is run."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.errors import ArtifactError, SpecError, first_line
from models.hub.dtypes import Precision, dtype_of, name_of, tolerance_of
from models.hub.int8 import round_weights

EVERY_DEVICE = "auto"
"""All GPUs that there are, the layers shared out among them, and the CPU for what has no room there."""


def load_hub_network(folder: Path, device: str, precision: Precision = "auto") -> Any:
    """The network of a local folder, loaded with `AutoModelForCausalLM`.

    device: what torch calls one, or `EVERY_DEVICE`.

    Raises:
        ArtifactError: transformers cannot load it, it is no decoder, or its weights do not fit its config or
            are not finite.
        SpecError: the device is not there, or no such precision.
    """
    from transformers import AutoModelForCausalLM

    config = _read_config(folder)
    dtype = dtype_of(precision, config.dtype, device)
    _check_device(device)
    placed = {"device_map": "auto"} if device == EVERY_DEVICE else {}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
            **placed,
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
    network.eval().requires_grad_(False)
    if precision == "int8":
        _require_here(network, device)
        round_weights(network)
    if not placed:
        network.to(torch.device(device))
    _check_causal(network)
    return network


def _is_finite(parameter: Tensor) -> bool:
    """Whether all numbers are, of what is not only fetched when it is used. What is not finite stays so in a
    sum, which takes a thirtieth of the time."""
    if parameter.is_meta:
        return True
    return bool(torch.isfinite(parameter.sum())) or bool(torch.isfinite(parameter).all())


def _require_here(network: Any, device: str) -> None:
    """Refuse to round what is fetched when it is used: nobody would fetch what it was rounded to.

    Raises:
        SpecError: some weights are not in memory.
    """
    away = [name for name, parameter in network.named_parameters() if parameter.is_meta]
    if away:
        raise SpecError(
            f"device {device!r} has no room for all weights, such as {away[0]}, and what is fetched when it "
            "is used cannot be int8; ask for bfloat16, or name one device"
        )


def _check_device(device: str) -> None:
    kind = device.partition(":")[0]
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        EVERY_DEVICE: find_spec("accelerate") is not None,
    }
    if not there.get(kind, True):
        need = (
            "the package accelerate"
            if device == EVERY_DEVICE
            else f"a build of torch that finds a {kind} GPU"
        )
        raise SpecError(f"device {device!r} needs {need}, which is not there; use cpu, or install it")


def _read_config(folder: Path) -> Any:
    """Read the config, and refuse what transformers knows by its config to be no causal language model.

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
    return config


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
    if not bool(first.isfinite().all()):
        raise ArtifactError(f"in {name_of(network.dtype)} its logits are no numbers; ask for float32")
    # The passes have the same shapes, so they hardly differ even in few bits.
    if float((first - second).abs().max()) > tolerance_of(network) / 10 * float(first.abs().max()):
        raise ArtifactError(_other_kind(network.config))


def _unloadable(error: Exception) -> ArtifactError:
    return ArtifactError(f"transformers cannot load it as a causal language model: {first_line(error)}")


def _other_kind(config: Any) -> str:
    made = ", ".join(config.architectures or [])
    return (
        f"a {config.model_type} model{f' ({made})' if made else ''} is no decoder: it does not continue a "
        "text word by word; give a causal language model, such as a LlamaForCausalLM or a GPT2LMHeadModel"
    )
