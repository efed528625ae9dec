"""Every sampler there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import get_args

from app.decoding.sampling.cuts import EpsilonCutoff, EtaCutoff, MinP, PLess, TopA, TopNSigma, Xtc
from app.decoding.sampling.declaration import Declaration, Kind, declaration_of
from app.decoding.sampling.dry import Dry
from app.decoding.sampling.feedback import AdaptiveP, Mirostat
from app.decoding.sampling.penalties import NoRepeatNgram, Penalties
from app.decoding.sampling.ranked import Tfs, TopH, TopK, TopP, TypicalP
from app.decoding.sampling.setting import Setting
from app.decoding.sampling.temperature import Quadratic, Temperature


@dataclass(frozen=True)
class SamplerFields(
    Temperature,
    Quadratic,
    TopK,
    TopP,
    MinP,
    TypicalP,
    TopNSigma,
    EpsilonCutoff,
    EtaCutoff,
    TopH,
    PLess,
    TopA,
    Tfs,
    Xtc,
    Mirostat,
    AdaptiveP,
    Penalties,
    NoRepeatNgram,
    Dry,
):
    """The fields of all samplers, in the order of a request. The bases are the list of all samplers."""


_DECLARATIONS = [declaration_of(each) for each in SamplerFields.__bases__]

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {name: setting for each in _DECLARATIONS for name, setting in each.fields.items()}
)
"""Every field, in the order of a request."""

KINDS: tuple[Kind, ...] = get_args(Kind)

SAMPLERS: Mapping[str, Declaration] = MappingProxyType(
    {each.name: each for each in sorted(_DECLARATIONS, key=lambda each: (KINDS.index(each.kind), each.place))}
)
"""Every sampler, in the default order. The logit bias is none of them: it is always added, after those that
look at what was written and before the others."""
