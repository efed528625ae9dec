"""The weights of a network as the library keeps them."""

import ctypes
import weakref
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from models.gpt2 import GPT2, Block, GPT2Config, rotary_angles
from models.int8_weights import round_rows, with_rounded_weights
from models.native.library import Shape, load_library


class PackedNetwork:
    """A copy for the kernels of this processor. address: of it. int8: round its matrices."""

    def __init__(self, network: GPT2, threads: int, *, int8: bool) -> None:
        looked_up = with_rounded_weights(network) if int8 else network
        rotation = rotary_angles(network.config, torch.arange(network.config.context_length))
        learned = network.position_embedding
        # These are not copied, so they have to live as long.
        self._kept: list[Tensor | None] = [
            _floats(looked_up.token_embedding.weight),
            None if learned is None else _floats(learned.weight),
            *(None if learned is not None else _floats(each) for each in rotation),
        ]
        tensors = (*self._kept, *_of_layers(network, int8=int8))
        addresses = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
        library = load_library()
        self.address: int = library.demur_new(
            ctypes.byref(_shape(network.config, threads, int8=int8)),
            (ctypes.c_void_p * len(addresses))(*addresses),
        )
        if not self.address:
            raise MemoryError("there is no memory for the weights")
        # Not when Python ends: a thread may be in a pass still, and a forked process has none of the threads
        # that would be waited for.
        weakref.finalize(self, library.demur_delete, self.address).atexit = False


def _shape(config: GPT2Config, threads: int, *, int8: bool) -> Shape:
    sizes = (config.vocab_size, config.context_length, config.d_model, config.n_layers, config.n_heads)
    return Shape(*sizes, threads, int8)


def _of_layers(network: GPT2, *, int8: bool) -> Iterator[Tensor | None]:
    """Weights in the order in which source/network.cpp takes them."""
    for block in network.blocks:
        yield from _of_block(block, int8=int8)
    yield from _of_norm(network.final_norm)
    yield from _matrix(network.token_embedding.weight, int8=int8)
    yield None


def _of_block(block: nn.Module, *, int8: bool) -> Iterator[Tensor]:
    assert isinstance(block, Block)
    yield from _of_norm(block.attention_norm)
    yield from _of_linear(block.qkv, int8=int8)
    yield from _of_linear(block.attention_out, int8=int8)
    yield from _of_norm(block.mlp_norm)
    yield from _of_linear(block.mlp_in, int8=int8)
    yield from _of_linear(block.mlp_out, int8=int8)


def _of_norm(norm: nn.LayerNorm) -> Iterable[Tensor]:
    return _floats(norm.weight), _floats(norm.bias)


def _of_linear(layer: nn.Linear, *, int8: bool) -> Iterable[Tensor]:
    return (*_matrix(layer.weight, int8=int8), _floats(layer.bias))


def _matrix(weight: Tensor, *, int8: bool) -> Iterable[Tensor]:
    """As it is, or rounded, and what its rows are multiples of."""
    if not int8:
        return (_floats(weight),)
    return tuple(each.cpu().contiguous() for each in round_rows(weight))


def _floats(parameter: Tensor) -> Tensor:
    return parameter.detach().float().cpu().contiguous()
