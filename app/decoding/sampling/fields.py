"""The fields of a request that say how a token is drawn."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from app.decoding.sampling.params import DEFAULTS, RANGES, SAMPLERS, SamplingParams
from app.invalid import Listed, refusal, show

MAX_BIASES = 1024
MAX_BREAKERS = 64

_TOKEN_ID = re.compile("[0-9]{1,9}")

_UNBOUNDED = 2**31 - 1


def _number(name: str, description: str, *, off: float | None = None) -> Any:
    """A field with the default and the range of the sampling parameter `name`.

    off: a value below the range that other servers use to turn it off.
    """
    allowed = RANGES[name]
    low = allowed.low if off is None else off
    span = f"{low:g} or more" if allowed.high == _UNBOUNDED else f"{low:g} to {allowed.high:g}"
    return Field(
        default=DEFAULTS[name],
        ge=low,
        le=allowed.high,
        description=f"{description} {span}; {allowed.meaning}{'' if off is None else f', as does {off:g}'}.",
    )


def _bias_object(bias: Any) -> Any:
    """Biases as an object, also where they come as llama.cpp has them: `[[token id, bias], ...]`."""
    if not isinstance(bias, dict | list):
        return bias
    if len(bias) > MAX_BIASES:
        raise refusal(
            "logit_bias",
            f"logit_bias has {len(bias)} entries; at most {MAX_BIASES} are allowed",
            "out_of_range",
        )
    if isinstance(bias, dict):
        for key in bias:
            if not _TOKEN_ID.fullmatch(key):
                raise refusal(
                    "logit_bias", f"logit_bias has the key {show(key)}; keys are token ids such as '42'"
                )
        return bias
    pairs: dict[str, Any] = {}
    for place, pair in enumerate(bias):
        pairs |= _bias_pair(f"logit_bias[{place}]", pair)
    return pairs


def _bias_pair(where: str, pair: Any) -> dict[str, float]:
    """An entry of the list form. False is llama.cpp's word for never."""
    match pair:
        case [int(token_id), value] if type(token_id) is int and 0 <= token_id < 10**9:
            bias = -100 if value is False else value
            if type(bias) in (int, float) and -100 <= bias <= 100:
                return {str(token_id): bias}
            code = "out_of_range" if type(bias) in (int, float) else "invalid_type"
        case _:
            code = "invalid_type"
    raise refusal(
        where,
        f"{where} is {show(pair)}; in a list each entry is [token id, bias], such as [42, -100]; the bias is "
        "a number from -100 to 100",
        code,
    )


_SamplerName = Annotated[str, Field(max_length=64, json_schema_extra={"enum": list(SAMPLERS)})]
_Few = Field(max_length=MAX_BIASES)
_Names = Field(max_length=MAX_BIASES, json_schema_extra={"additionalProperties": False})
_Bias = Annotated[float, Field(ge=-100, le=100)]
_Id = Annotated[str, Field(pattern="^[0-9]{1,9}$")]
_Pair = tuple[Annotated[int, Field(ge=0, lt=10**9)], _Bias | Literal[False]]
LogitBias = Annotated[
    dict[str, _Bias],
    BeforeValidator(
        _bias_object,
        json_schema_input_type=Annotated[dict[_Id, _Bias], _Names] | Annotated[list[_Pair], _Few],
    ),
]


class SamplingFields(BaseModel):
    """How a token is drawn. The order is that of `samplers`."""

    temperature: float = _number(
        "temperature", "Divides the logits: 1 draws from the model's own distribution."
    )
    dynatemp_range: float = _number(
        "dynatemp_range",
        "Dynamic temperature, llama.cpp's: from temperature - range where the model is certain to "
        "temperature + range where it is not.",
    )
    dynatemp_exponent: float = _number(
        "dynatemp_exponent", "How dynatemp_range follows the entropy's share of its maximum."
    )
    edt_theta: float = _number(
        "edt_theta",
        "Entropy-dependent temperature (arXiv 2403.14541): temperature * edt_base ^ (edt_theta / entropy).",
    )
    edt_base: float = _number("edt_base", "Of edt_theta.")
    smoothing_factor: float = _number(
        "smoothing_factor", "Quadratic smoothing, text-generation-webui's: a parabola through the logits."
    )
    smoothing_curve: float = _number(
        "smoothing_curve", "Of smoothing_factor: how much faster the tail falls."
    )
    top_k: int = _number("top_k", "Draw among the k likeliest tokens.", off=-1)
    top_p: float = _number("top_p", "Draw among the likeliest tokens that together reach probability top_p.")
    min_p: float = _number(
        "min_p", "Draw among tokens with at least min_p times the probability of the likeliest."
    )
    typical_p: float = _number(
        "typical_p",
        "Draw among the tokens whose surprisal is nearest to the entropy and that together reach "
        "probability typical_p.",
    )
    top_n_sigma: float = _number(
        "top_n_sigma", "Draw among logits within n standard deviations of the highest.", off=-1
    )
    epsilon_cutoff: float = _number(
        "epsilon_cutoff",
        "Draw among tokens of at least this probability. As in transformers; text-generation-webui counts "
        "in units of 0.0001.",
    )
    eta_cutoff: float = _number(
        "eta_cutoff",
        "The same with the smaller of eta and sqrt(eta) * exp(-entropy). As in transformers; "
        "text-generation-webui counts in units of 0.0001.",
    )
    top_h: float = _number(
        "top_h", "Draw among the likeliest tokens that together hold at most this share of the entropy."
    )
    p_less: bool = Field(
        default=False, description="Draw among tokens of at least the sum of all squared probabilities."
    )
    top_a: float = _number("top_a", "Draw among tokens of at least top_a times the square of the highest.")
    tfs: float = _number("tfs", "Tail-free sampling: cut where the sorted probabilities stop bending.")
    xtc_probability: float = _number(
        "xtc_probability",
        "How often XTC removes all tokens that reach xtc_threshold but the least likely of them.",
    )
    xtc_threshold: float = _number("xtc_threshold", "Of xtc_probability: what counts as a top choice.")
    mirostat: int = _number(
        "mirostat", "Mirostat: cut so that the text's surprise per token comes to mirostat_tau."
    )
    mirostat_tau: float = _number("mirostat_tau", "Of mirostat.")
    mirostat_eta: float = _number("mirostat_eta", "Of mirostat.")
    adaptive_target: float = _number(
        "adaptive_target", "Adaptive-p, llama.cpp's: prefer tokens near this probability, on average."
    )
    adaptive_decay: float = _number("adaptive_decay", "Of adaptive_target.")
    presence_penalty: float = _number(
        "presence_penalty", "Lowers the logit of tokens that the completion already holds."
    )
    frequency_penalty: float = _number(
        "frequency_penalty", "The same, once for every time that it holds them."
    )
    repetition_penalty: float = _number(
        "repetition_penalty",
        "Divides positive and multiplies negative logits of tokens of prompt and completion.",
    )
    no_repeat_ngram_size: int = _number(
        "no_repeat_ngram_size", "Never write the same n tokens twice, prompt included."
    )
    dry_multiplier: float = _number(
        "dry_multiplier",
        "DRY: a token that would go on with a repetition of n tokens loses "
        "dry_multiplier * dry_base ^ (n - dry_allowed_length).",
    )
    dry_base: float = _number("dry_base", "Of dry_multiplier.")
    dry_allowed_length: int = _number("dry_allowed_length", "Of dry_multiplier.")
    dry_penalty_last_n: int = _number("dry_penalty_last_n", "Of dry_multiplier.")
    dry_sequence_breakers: Listed[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default=list(DEFAULTS["dry_sequence_breakers"]),
        max_length=MAX_BREAKERS,
        description=f"Of dry_multiplier: up to {MAX_BREAKERS} strings over which no repetition reaches.",
    )
    logit_bias: LogitBias = Field(
        default_factory=dict,
        description="Token id, as a string, to what is added to its logit, -100 to 100; or a list of "
        "[token id, bias].",
    )
    samplers: Listed[_SamplerName] | None = Field(
        default=None,
        max_length=len(SAMPLERS),
        description=f"The order of the samplers. Default: {', '.join(SAMPLERS)}. Penalties, no-repeat "
        "n-grams and DRY come first, mirostat or adaptive-p last; one that is turned on is listed.",
    )

    @property
    def sampling(self) -> SamplingParams:
        """The chain that is asked for.

        Raises:
            ParameterError: fields that do not go together.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in SamplingFields.model_fields}
        values["top_k"] = max(0, self.top_k)
        values["top_n_sigma"] = max(0.0, self.top_n_sigma)
        values["dry_sequence_breakers"] = tuple(self.dry_sequence_breakers)
        values["logit_bias"] = {int(token_id): bias for token_id, bias in self.logit_bias.items()}
        values["samplers"] = None if self.samplers is None else tuple(self.samplers)
        return SamplingParams(**values)
