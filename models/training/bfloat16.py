"""Where products of matrices in bfloat16 are fast."""

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster there than in float32.

    A processor without the instructions emulates them, thirty times slower.
    """
    return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()  # pyright: ignore[reportPrivateUsage]
