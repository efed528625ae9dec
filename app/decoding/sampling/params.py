"""What a request asks of the sampling chain: the fields of all samplers, and what holds between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, pairwise
from types import MappingProxyType
from typing import Any

from app.decoding.sampling.declaration import require_one
from app.decoding.sampling.samplers import KINDS, SAMPLERS, SETTINGS, SamplerFields
from app.errors import ConflictError, ParameterError, UnfitError, UnknownNameError

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        **{name: each.default for name, each in SETTINGS.items()},
        "logit_bias": MappingProxyType({}),
        "samplers": None,
    }
)

_SWITCHES = {switch: each for each in SAMPLERS.values() for switch in each.switches}
_CHECKS = [each.check for each in SAMPLERS.values() if each.check is not None]
_DRAWING = [each.switches[0] for each in SAMPLERS.values() if each.kind == "feedback"]


@dataclass(frozen=True)
class SamplingParams(SamplerFields):
    """The sampling chain of one row. The defaults draw from the model's own distribution.

    At temperature 0 the likeliest token is taken after penalties, no-repeat n-grams, DRY and logit bias;
    what else is set has no effect. A value that does not differ from its default, or from an end of its
    range, in the precision that uses it is that: a temperature of 1e-46 is 0.
    samplers: the order of the samplers, by name; None is that of `SAMPLERS`. Those that look at what was
        written come first, as they work on the model's own logits, and mirostat or adaptive-p comes last,
        as it draws. A sampler that is turned on has to be among them.
    """

    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])
    samplers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        values = vars(self)
        for name, setting in SETTINGS.items():
            if values[name] != setting.default:
                object.__setattr__(self, name, setting.settled(name, values[name]))
        for token_id, bias in self.logit_bias.items():
            if token_id < 0 or not -100 <= bias <= 100:
                raise ParameterError(
                    f"logit_bias has {token_id}: {bias}; token ids are 0 or more and a bias is "
                    "between -100 and 100.",
                    param="logit_bias",
                )
        # The caller may go on changing its own dictionary.
        object.__setattr__(self, "logit_bias", MappingProxyType(dict(self.logit_bias)))
        for check in _CHECKS:
            check(self)
        for first, second in combinations(_DRAWING, 2):
            require_one(self, first, second, "both draw the token")
        if self.samplers is not None:
            _require_order(self.samplers)
            self._require_listed(self.samplers)

    def at_temperature(self, temperature: float) -> "SamplingParams":
        """The same at another temperature, as strategies ask for: also where `samplers` does not list what
        the temperature turns on, which then comes before the others of its kind."""
        if self.samplers is None or temperature == 0:
            return replace(self, temperature=temperature)
        order = replace(self, temperature=temperature, samplers=None).active
        missing = [name for name in order if name not in self.samplers]
        samplers = sorted((*missing, *self.samplers), key=_place)
        return replace(self, temperature=temperature, samplers=tuple(samplers))

    def is_on(self, sampler: str) -> bool:
        """Whether a sampler has anything to do, by its name in `samplers`."""
        return sampler in self._on

    @property
    def active(self) -> tuple[str, ...]:
        """The samplers that are on, in the order in which they are applied."""
        on = self._on
        return tuple(name for name in (SAMPLERS if self.samplers is None else self.samplers) if name in on)

    @cached_property
    def _on(self) -> frozenset[str]:
        values = vars(self)
        switched = (each for name, each in _SWITCHES.items() if values[name] != DEFAULTS[name])
        greedy = self.temperature == 0
        return frozenset(each.name for each in switched if each.kind == "history" or not greedy)

    @cached_property
    def is_plain(self) -> bool:
        """Whether nothing but a temperature, the same everywhere, stands between logits and draw."""
        changed = self._on - {"temperature"} or self.logit_bias or self.dynatemp_range or self.edt_theta
        return not changed

    def effective(self) -> dict[str, Any]:
        """What the chain does: the samplers that are on, in order, and every parameter that they read."""
        values = vars(self)
        active = [SAMPLERS[name] for name in self.active]
        names = ["temperature", *(name for each in active for name in (*each.switches, *each.settings))]
        return {
            "samplers": list(self.active),
            **{name: values[name] for name in dict.fromkeys(names)},
            **({"logit_bias": dict(self.logit_bias)} if self.logit_bias else {}),
        }

    def _require_listed(self, samplers: tuple[str, ...]) -> None:
        for info in SAMPLERS.values():
            if info.name not in samplers and self.is_on(info.name):
                switch = next(each for each in info.switches if vars(self)[each] != DEFAULTS[each])
                raise ConflictError(
                    f"{switch} is {vars(self)[switch]}, but samplers does not list {info.name!r}, which "
                    f"applies it; add it, or leave {switch} at {DEFAULTS[switch]}.",
                    param="samplers",
                )


def _place(sampler: str) -> int:
    """Of its kind among the kinds."""
    return KINDS.index(SAMPLERS[sampler].kind)


def _require_order(samplers: tuple[str, ...]) -> None:
    """Raise `ParameterError` unless the names are known, no two are the same, and the kinds in order."""
    for name in samplers:
        if name not in SAMPLERS:
            raise UnknownNameError(
                f"samplers has {name!r}; there are {', '.join(SAMPLERS)}.", param="samplers"
            )
        if samplers.count(name) > 1:
            raise UnfitError(f"samplers has {name!r} more than once; each is applied once.", param="samplers")
    for before, after in pairwise(samplers):
        if _place(before) > _place(after):
            firsts = [name for name, info in SAMPLERS.items() if info.kind == "history"]
            lasts = [name for name, info in SAMPLERS.items() if info.kind == "feedback"]
            raise UnfitError(
                f"samplers has {after!r} after {before!r}; {', '.join(firsts)} come before all others, since "
                f"they work on the model's own logits, and {' and '.join(lasts)} after, since they draw.",
                param="samplers",
            )
