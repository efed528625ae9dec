"""The samplers that look at the distribution alone: which transform each is, and with which parameters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from app.decoding.sampling.cuts import (
    apply_epsilon_cutoff,
    apply_eta_cutoff,
    apply_min_p,
    apply_p_less,
    apply_top_a,
    apply_top_n_sigma,
    apply_xtc,
)
from app.decoding.sampling.params import SamplingParams
from app.decoding.sampling.ranked import (
    apply_tfs,
    apply_top_h,
    apply_top_k,
    apply_top_p,
    apply_typical_p,
)
from app.decoding.sampling.temperature import (
    apply_dynamic_temperature,
    apply_edt,
    apply_smoothing,
    apply_temperature,
)


def _always(_params: SamplingParams) -> bool:
    return True


@dataclass(frozen=True)
class Shape:
    """A transform of logits (R, V), with one value per row (R,) of each parameter.

    applies: whether it is what the sampler does with these parameters. tosses: it takes a coin besides.
    """

    transform: Callable[..., Tensor]
    parameters: tuple[str, ...]
    applies: Callable[[SamplingParams], bool] = _always
    dtype: torch.dtype = torch.float32
    tosses: bool = False


SHAPES: Mapping[str, tuple[Shape, ...]] = MappingProxyType(
    {
        "temperature": (
            Shape(
                apply_temperature,
                ("temperature",),
                lambda params: params.dynatemp_range == 0 and params.edt_theta == 0,
            ),
            Shape(
                apply_dynamic_temperature,
                ("temperature", "dynatemp_range", "dynatemp_exponent"),
                lambda params: params.dynatemp_range > 0,
            ),
            Shape(apply_edt, ("temperature", "edt_base", "edt_theta"), lambda params: params.edt_theta > 0),
        ),
        "quadratic": (Shape(apply_smoothing, ("smoothing_factor", "smoothing_curve")),),
        "top_n_sigma": (Shape(apply_top_n_sigma, ("top_n_sigma",)),),
        "top_k": (Shape(apply_top_k, ("top_k",), dtype=torch.int64),),
        "typical_p": (Shape(apply_typical_p, ("typical_p",)),),
        "top_p": (Shape(apply_top_p, ("top_p",)),),
        "min_p": (Shape(apply_min_p, ("min_p",)),),
        "epsilon_cutoff": (Shape(apply_epsilon_cutoff, ("epsilon_cutoff",)),),
        "eta_cutoff": (Shape(apply_eta_cutoff, ("eta_cutoff",)),),
        "top_h": (Shape(apply_top_h, ("top_h",)),),
        "p_less": (Shape(apply_p_less, ()),),
        "top_a": (Shape(apply_top_a, ("top_a",)),),
        "tfs": (Shape(apply_tfs, ("tfs",)),),
        "xtc": (Shape(apply_xtc, ("xtc_probability", "xtc_threshold"), tosses=True),),
    }
)


@dataclass(frozen=True)
class Stage:
    """A transform on some of the rows, with their parameters.

    rows: their numbers in the batch. index: their places among the logits; None = they are all there are.
    """

    shape: Shape
    rows: tuple[int, ...]
    index: Tensor | None
    values: tuple[Tensor, ...]

    def __call__(self, logits: Tensor, coins: Mapping[int, float]) -> Tensor:
        values = self.values
        if self.shape.tosses:
            tossed = [coins[row] for row in self.rows]
            values = (*values, torch.tensor(tossed, dtype=torch.float64, device=logits.device))
        if self.index is None:
            return self.shape.transform(logits, *values)
        return logits.index_copy(0, self.index, self.shape.transform(logits[self.index], *values))


def compile_stages(
    ordered: Sequence[tuple[str, Sequence[int]]],
    params: Sequence[SamplingParams],
    places: Mapping[int, int],
    device: torch.device,
) -> list[Stage]:
    """The stages of the samplers `ordered`, each with the rows of the batch that use it.

    places: of these rows among the logits.
    """
    stages: list[Stage] = []
    for name, rows in ordered:
        for shape in SHAPES[name]:
            members = tuple(row for row in rows if shape.applies(params[row]))
            if not members:
                continue
            index = None
            if len(members) < len(places):
                index = torch.tensor([places[row] for row in members], dtype=torch.int64, device=device)
            values = tuple(
                torch.tensor([vars(params[row])[name] for row in members], dtype=shape.dtype, device=device)
                for name in shape.parameters
            )
            stages.append(Stage(shape, members, index, values))
    return stages
