"""Fields that other servers of this API know and this one does not implement.

A request that uses one is refused and told why. Clients fill some of them in with the value that changes
nothing, so that value passes, and so does null.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from app.invalid import refusal


@dataclass(frozen=True)
class Foreign:
    """Why a field is refused, and its values that change nothing."""

    reason: str
    no_op: tuple[object, ...] = ()


_GRAMMAR = "output is not constrained by a grammar or schema; check the text that comes back"
_LENGTHS = "no lower bound on the length is implemented; ignore_eos goes on past the end token"
_TOOLS = "this model calls no tools"
_STORAGE = "nothing is stored about a request"

_SHARED: Mapping[str, Foreign] = {
    "n_predict": Foreign("use max_tokens"),
    "max_new_tokens": Foreign("use max_tokens"),
    "max_length": Foreign("use max_tokens"),
    "repeat_penalty": Foreign("use repetition_penalty", (1,)),
    "repeat_last_n": Foreign("penalties look at the whole text; use repetition_penalty"),
    "typ_p": Foreign("use typical_p", (1,)),
    "n_probs": Foreign("use logprobs"),
    "stop_sequences": Foreign("use stop"),
    "tfs_z": Foreign("use tfs", (1,)),
    "rep_pen": Foreign("use repetition_penalty", (1,)),
    "repetition_penalty_range": Foreign("penalties look at the whole text; use repetition_penalty", (0,)),
    "encoder_repetition_penalty": Foreign("use repetition_penalty", (1,)),
    "dynamic_temperature": Foreign("use temperature with dynatemp_range", (False,)),
    "dynatemp_low": Foreign("use dynatemp_range: from temperature - dynatemp_range"),
    "dynatemp_high": Foreign("use dynatemp_range: up to temperature + dynatemp_range"),
    "mirostat_mode": Foreign("use mirostat", (0,)),
    "temperature_last": Foreign("use samplers, which gives the order", (False,)),
    "sampler_priority": Foreign("use samplers"),
    "sampler_order": Foreign("use samplers"),
    "min_keep": Foreign("every sampler keeps at least one token, and equal ones together", (0, 1)),
    "penalty_alpha": Foreign("contrastive search is not implemented", (0,)),
    "guidance_scale": Foreign("there is no guidance by a negative prompt", (1,)),
    "min_tokens": Foreign(_LENGTHS, (0,)),
    "length_penalty": Foreign("beam search is not implemented", (1,)),
    "use_beam_search": Foreign("beam search is not implemented", (False,)),
    "include_stop_str_in_output": Foreign("a stop string is never part of the text", (False,)),
    "allowed_token_ids": Foreign("use logit_bias with -100 or 100 to forbid or favour tokens"),
    "bad_words": Foreign("use logit_bias with -100 to forbid tokens"),
    "prompt_logprobs": Foreign("use POST /v1/score, or echo with logprobs on /v1/completions"),
    "grammar": Foreign(_GRAMMAR, ("",)),
    "json_schema": Foreign(_GRAMMAR),
    "structured_outputs": Foreign(_GRAMMAR),
    "store": Foreign(_STORAGE, (False,)),
    "metadata": Foreign(_STORAGE, ({},)),
}

COMPLETION_FOREIGN: Mapping[str, Foreign] = MappingProxyType(
    {
        **_SHARED,
        "best_of": Foreign("only the n completions that are returned are written; use n", (1,)),
        "suffix": Foreign("the model only continues a text, it does not fill in", ("",)),
        "top_logprobs": Foreign("on /v1/completions use logprobs: N for the N likeliest alternatives"),
        "max_completion_tokens": Foreign("on /v1/completions use max_tokens"),
    }
)

CHAT_FOREIGN: Mapping[str, Foreign] = MappingProxyType(
    {
        **_SHARED,
        "tools": Foreign(_TOOLS, ([],)),
        "tool_choice": Foreign(_TOOLS, ("none", "auto")),
        "parallel_tool_calls": Foreign(_TOOLS, (True, False)),
        "functions": Foreign(_TOOLS, ([],)),
        "function_call": Foreign(_TOOLS, ("none", "auto")),
        "response_format": Foreign(_GRAMMAR, ({"type": "text"},)),
        "modalities": Foreign("only text is written", (["text"],)),
        "audio": Foreign("only text is written"),
        "prediction": Foreign("predicted outputs are not implemented"),
        "reasoning_effort": Foreign(
            "the length of the solution is the model's own; use max_tokens", ("none",)
        ),
        "verbosity": Foreign("the length of the solution is the model's own; use max_tokens", ("medium",)),
        "web_search_options": Foreign("this model searches nothing"),
        "service_tier": Foreign("there is one tier", ("auto", "default")),
        "moderation": Foreign("nothing is moderated"),
        "safety_identifier": Foreign("nothing is moderated; use user"),
        "prompt_cache_key": Foreign("prompts are cached without a key"),
        "prompt_cache_options": Foreign("prompts are cached without options"),
        "prompt_cache_retention": Foreign("prompts are cached as long as there is room"),
        "echo": Foreign("only /v1/completions can echo its prompt", (False,)),
        "prompt": Foreign("on /v1/chat/completions use messages"),
    }
)


MESSAGE_FOREIGN: Mapping[str, Foreign] = MappingProxyType(
    {
        "tool_calls": Foreign(_TOOLS, ([],)),
        "tool_call_id": Foreign(_TOOLS),
        "function_call": Foreign(_TOOLS),
        "refusal": Foreign("put what the assistant said into content", ("",)),
        "audio": Foreign("only text is read"),
        "annotations": Foreign("only text is read", ([],)),
        "reasoning_content": Foreign("put what the assistant said into content", ("",)),
    }
)


def keep_own(data: Any, own: Collection[str], foreign: Mapping[str, Foreign]) -> Any:
    """The request body without nulls and without foreign fields that change nothing.

    Null means "the default" for every optional field, as the official clients mean it.

    Raises:
        PydanticCustomError: a foreign field that asks for something, or a field nobody knows; its context
            names the field as `param`.
    """
    if not isinstance(data, dict):
        return data
    kept: dict[Any, Any] = {}
    for name, value in data.items():
        if value is None and (name in own or name in foreign):
            continue
        if name in own:
            kept[name] = value
        elif name not in foreign:
            raise refusal(name, f"unknown field {name!r}{_suggestion(name, own)}")
        elif not _changes_nothing(value, foreign[name].no_op):
            raise refusal(name, f"{name} is not supported: {foreign[name].reason}")
    return kept


def _changes_nothing(value: Any, no_op: tuple[object, ...]) -> bool:
    # 1 == True in Python, not in JSON.
    return any(
        value == harmless and isinstance(value, bool) == isinstance(harmless, bool) for harmless in no_op
    )


def _suggestion(name: object, own: Collection[str]) -> str:
    near = difflib.get_close_matches(str(name), own, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known fields are {', '.join(sorted(own))}"
