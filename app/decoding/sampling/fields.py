"""The fields of a request that say how a token is drawn."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model

from app.decoding.sampling.params import SamplingParams
from app.decoding.sampling.samplers import SAMPLERS, SETTINGS
from app.invalid import Listed, refusal, show

MAX_BIASES = 1024

_TOKEN_ID = re.compile("[0-9]{1,9}")


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


_REQUESTED: dict[str, Any] = {name: each.requested for name, each in SETTINGS.items()}
_Settings = create_model("_Settings", **_REQUESTED)


class SamplingFields(_Settings):
    """How a token is drawn. The order is that of `samplers`."""

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
        values = vars(self)
        return SamplingParams(
            **{name: each.read(values[name]) for name, each in SETTINGS.items()},
            logit_bias={int(token_id): bias for token_id, bias in self.logit_bias.items()},
            samplers=None if self.samplers is None else tuple(self.samplers),
        )
