"""What a request asks of the sampling chain: the parameters, their ranges, the samplers and their order."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

from app.decoding.sampling.ranges import Range, in_single_precision, require_range
from app.errors import ConflictError, ParameterError, UnfitError, UnknownNameError

DRY_BREAKERS = ("\n", ":", '"', "*")

RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "temperature": Range(0, 100, "0 takes the likeliest token"),
        "dynatemp_range": Range(0, 100, "0 turns it off"),
        "dynatemp_exponent": Range(0, 100, "1 is linear in the entropy"),
        "edt_theta": Range(0, 100, "0 turns it off"),
        "edt_base": Range(0.01, 1, "the paper has 0.8"),
        "smoothing_factor": Range(0, 100, "0 turns it off"),
        "smoothing_curve": Range(1, 10, "1 is a parabola"),
        "top_k": Range(0, 2**31 - 1, "0 turns it off"),
        "top_p": Range(0, 1, "1 turns it off"),
        "min_p": Range(0, 1, "0 turns it off"),
        "typical_p": Range(0, 1, "1 turns it off"),
        "top_n_sigma": Range(0, 1000, "0 turns it off"),
        "epsilon_cutoff": Range(0, 1, "a probability; 0 turns it off"),
        "eta_cutoff": Range(0, 1, "a probability; 0 turns it off"),
        "top_h": Range(0, 1, "1 turns it off"),
        "top_a": Range(0, 1, "0 turns it off"),
        "tfs": Range(0, 1, "1 turns it off"),
        "xtc_probability": Range(0, 1, "0 turns it off"),
        "xtc_threshold": Range(0, 1, "above 0.5 it removes nothing"),
        "mirostat": Range(0, 2, "1 and 2 are its versions, 0 turns it off"),
        "mirostat_tau": Range(0, 100, "bits of surprise to aim at"),
        "mirostat_eta": Range(0, 1, "how fast it learns"),
        "adaptive_target": Range(-1, 1, "a probability to aim at; below 0 turns it off"),
        "adaptive_decay": Range(0, 0.99, "how long it remembers"),
        "presence_penalty": Range(-2, 2, "0 turns it off"),
        "frequency_penalty": Range(-2, 2, "0 turns it off"),
        "repetition_penalty": Range(0.01, 100, "1 turns it off"),
        "no_repeat_ngram_size": Range(0, 2**31 - 1, "0 turns it off"),
        "dry_multiplier": Range(0, 100, "0 turns it off"),
        "dry_base": Range(1, 100, "how fast it grows"),
        "dry_allowed_length": Range(1, 2**31 - 1, "shorter repetitions cost nothing"),
        "dry_penalty_last_n": Range(-1, 2**31 - 1, "tokens to look at; -1 is all"),
    }
)


_IN_DOUBLE_PRECISION = frozenset(
    {
        "mirostat_tau",
        "mirostat_eta",
        "adaptive_target",
        "adaptive_decay",
        "dry_multiplier",
        "dry_base",
    }
)
"""The other numbers with a fraction go into tensors of single precision."""


@dataclass(frozen=True)
class SamplerInfo:
    """A sampler by its name in `samplers`.

    switches: parameters that turn it on by leaving their defaults. settings: others that it reads.
    kind: "history" looks at what was written; "shape" at the distribution alone; "feedback" follows the
        tokens that it drew itself.
    """

    name: str
    kind: Literal["history", "shape", "feedback"]
    switches: tuple[str, ...]
    settings: tuple[str, ...] = ()


SAMPLERS: Mapping[str, SamplerInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            SamplerInfo(
                "penalties", "history", ("repetition_penalty", "frequency_penalty", "presence_penalty")
            ),
            SamplerInfo("no_repeat_ngram", "history", ("no_repeat_ngram_size",)),
            SamplerInfo(
                "dry",
                "history",
                ("dry_multiplier",),
                ("dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"),
            ),
            SamplerInfo(
                "temperature",
                "shape",
                ("temperature", "dynatemp_range", "edt_theta"),
                ("dynatemp_exponent", "edt_base"),
            ),
            SamplerInfo("quadratic", "shape", ("smoothing_factor",), ("smoothing_curve",)),
            SamplerInfo("top_n_sigma", "shape", ("top_n_sigma",)),
            SamplerInfo("top_k", "shape", ("top_k",)),
            SamplerInfo("typical_p", "shape", ("typical_p",)),
            SamplerInfo("top_p", "shape", ("top_p",)),
            SamplerInfo("min_p", "shape", ("min_p",)),
            SamplerInfo("epsilon_cutoff", "shape", ("epsilon_cutoff",)),
            SamplerInfo("eta_cutoff", "shape", ("eta_cutoff",)),
            SamplerInfo("top_h", "shape", ("top_h",)),
            SamplerInfo("p_less", "shape", ("p_less",)),
            SamplerInfo("top_a", "shape", ("top_a",)),
            SamplerInfo("tfs", "shape", ("tfs",)),
            SamplerInfo("xtc", "shape", ("xtc_probability",), ("xtc_threshold",)),
            SamplerInfo("mirostat", "feedback", ("mirostat",), ("mirostat_tau", "mirostat_eta")),
            SamplerInfo("adaptive_p", "feedback", ("adaptive_target",), ("adaptive_decay",)),
        )
    }
)
"""Every sampler, in the default order. The logit bias is none of them: it is always added, after those that
look at what was written and before the others."""


_PLACES: Mapping[str, int] = MappingProxyType({"history": 0, "shape": 1, "feedback": 2})
"""The order of the kinds."""

_SWITCHES: Mapping[str, SamplerInfo] = MappingProxyType(
    {switch: info for info in SAMPLERS.values() for switch in info.switches}
)


@dataclass(frozen=True)
class SamplingParams:
    """The sampling chain of one row. The defaults draw from the model's own distribution.

    At temperature 0 the likeliest token is taken after penalties, no-repeat n-grams, DRY and logit bias;
    what else is set has no effect. A value that does not differ from its default, or from an end of its
    range, in the precision that uses it is that: a temperature of 1e-46 is 0.
    samplers: the order of the samplers, by name; None is that of `SAMPLERS`. Those that look at what was
        written come first, as they work on the model's own logits, and mirostat or adaptive-p comes last,
        as it draws. A sampler that is turned on has to be among them.
    """

    temperature: float = 1.0
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    edt_theta: float = 0.0
    edt_base: float = 0.8
    smoothing_factor: float = 0.0
    smoothing_curve: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    top_n_sigma: float = 0.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0
    top_h: float = 1.0
    p_less: bool = False
    top_a: float = 0.0
    tfs: float = 1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    adaptive_target: float = -1.0
    adaptive_decay: float = 0.9
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    dry_sequence_breakers: tuple[str, ...] = DRY_BREAKERS
    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])
    samplers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        values = vars(self)
        for name, allowed in RANGES.items():
            value, default = values[name], DEFAULTS[name]
            if value == default:
                continue
            require_range(name, value, allowed)
            if isinstance(default, float) and name not in _IN_DOUBLE_PRECISION:
                known = in_single_precision(value, (default, allowed.low, allowed.high))
                object.__setattr__(self, name, known)
        for token_id, bias in self.logit_bias.items():
            if token_id < 0 or not -100 <= bias <= 100:
                raise ParameterError(
                    f"logit_bias has {token_id}: {bias}; token ids are 0 or more and a bias is "
                    "between -100 and 100.",
                    param="logit_bias",
                )
        # The caller may go on changing its own dictionary.
        object.__setattr__(self, "logit_bias", MappingProxyType(dict(self.logit_bias)))
        if self.adaptive_target < 0:
            object.__setattr__(self, "adaptive_target", -1.0)
        if "" in self.dry_sequence_breakers:
            raise ParameterError(
                "dry_sequence_breakers holds an empty string, which would break every sequence; remove it.",
                param="dry_sequence_breakers",
            )
        self._require_one("dynatemp_range", "edt_theta", "both set the temperature")
        self._require_one("mirostat", "adaptive_target", "both draw the token")
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
        samplers = sorted((*missing, *self.samplers), key=lambda name: _PLACES[SAMPLERS[name].kind])
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
        switched = (info for name, info in _SWITCHES.items() if values[name] != DEFAULTS[name])
        greedy = self.temperature == 0
        return frozenset(info.name for info in switched if info.kind == "history" or not greedy)

    def effective(self) -> dict[str, Any]:
        """What the chain does: the samplers that are on, in order, and every parameter that they read."""
        values = vars(self)
        infos = [SAMPLERS[name] for name in self.active]
        names = ["temperature", *(name for info in infos for name in (*info.switches, *info.settings))]
        return {
            "samplers": list(self.active),
            **{name: values[name] for name in dict.fromkeys(names)},
            **({"logit_bias": dict(self.logit_bias)} if self.logit_bias else {}),
        }

    def _require_one(self, first: str, second: str, why: str) -> None:
        values = vars(self)
        if all(values[name] != DEFAULTS[name] for name in (first, second)):
            raise ConflictError(
                f"{first} is {values[first]} and {second} is {values[second]}, but {why}; "
                f"leave one of them at {DEFAULTS[first]} and {DEFAULTS[second]}.",
                param=second,
            )

    def _require_listed(self, samplers: tuple[str, ...]) -> None:
        for info in SAMPLERS.values():
            if info.name not in samplers and self.is_on(info.name):
                switch = next(each for each in info.switches if vars(self)[each] != DEFAULTS[each])
                raise ConflictError(
                    f"{switch} is {vars(self)[switch]}, but samplers does not list {info.name!r}, which "
                    f"applies it; add it, or leave {switch} at {DEFAULTS[switch]}.",
                    param="samplers",
                )


DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {name: each.default for name, each in SamplingParams.__dataclass_fields__.items()}
)


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
        if _PLACES[SAMPLERS[before].kind] > _PLACES[SAMPLERS[after].kind]:
            firsts = [name for name, info in SAMPLERS.items() if info.kind == "history"]
            lasts = [name for name, info in SAMPLERS.items() if info.kind == "feedback"]
            raise UnfitError(
                f"samplers has {after!r} after {before!r}; {', '.join(firsts)} come before all others, since "
                f"they work on the model's own logits, and {' and '.join(lasts)} after, since they draw.",
                param="samplers",
            )
