"""Which code computes a network of our own: the native step or torch."""

import logging
from typing import Literal, get_args

from models.errors import SpecError
from models.native.library import load_library

logger = logging.getLogger(__name__)

Kernel = Literal["auto", "native", "torch"]
"""`auto` is the native step where it can run, and torch elsewhere."""

KERNELS: tuple[Kernel, ...] = get_args(Kernel)


def use_native(kernel: Kernel, device: str) -> bool:
    """Whether the native step is to run one of our own networks; the log says so.

    Raises:
        SpecError: it was asked for and cannot run here, or there is no such kernel.
    """
    if kernel not in KERNELS:
        raise SpecError(f"kernel {kernel!r} is none of {', '.join(KERNELS)}")
    if kernel == "torch":
        return False
    try:
        if device != "cpu":
            raise SpecError(f"the native step runs on a CPU, not on {device}")
        instructions: bytes = load_library().demur_kernels()
    except SpecError as error:
        if kernel == "native":
            raise
        logger.info("torch computes the network: %s.", error)
        return False
    logger.info("The native step computes the network, with %s instructions.", instructions.decode())
    return True
