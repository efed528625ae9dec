"""Fields that other servers of this API know and this one does not implement.

A request that uses one is refused and told what to use instead. Clients fill some of them in with the value
that changes nothing, so that value passes, and so does null.

Gathered from OpenAI's reference and from what vLLM, llama.cpp, SGLang, TGI, text-generation-webui, KoboldCpp,
LM Studio and Ollama take on their OpenAI routes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Foreign:
    """Why a field is refused, what to use instead, and its values that change nothing."""

    reason: str
    no_op: tuple[object, ...] = ()


_BEAMS = 'use strategy: {"kind": "beam", "width": 4, "length_penalty": 1.0}'
_CACHE = "what a prompt shares with an earlier one is taken from the cache, or send a cache_salt of its own"
_FORMAT = "text comes as the model writes it; check it, or ask again where it does not fit"
_GRAMMAR = "output is not constrained by a grammar or schema; check the text that comes back"
_HISTORY = "penalties look at the whole text; use repetition_penalty, or dry_penalty_last_n with DRY"
_IDS = 'token ids come with signals: ask for one, such as signals: ["entropy"]'
_LENGTHS = "no lower bound on the length is implemented; ignore_eos goes on past the end token"
_LORA = "one set of weights is served; merge the adapter and serve the result"
_ONE_SERVER = "there is one server, and `model` picks the model; leave it out"
_PENALTY = "use repetition_penalty"
_STORAGE = "nothing is stored about a request; leave it out"
_TEMPLATE = "chats are rendered in one way; render the text yourself and send it to /v1/completions"
_THINKING = "what the model writes is all text, nothing of it is set apart as reasoning"
_TIME = "use max_tokens, or close the connection, which ends the request"
_TIMINGS = "GET /metrics has times; usage has the counts of tokens"
_TOOLS = "this model calls no tools; leave it out, and read the answer from the text"
_WORDS = "use logit_bias with -100 to forbid tokens"

# name: why, and what to use; then the values that change nothing
_SHARED: Mapping[str, Foreign] = {
    # length
    "n_predict": Foreign("use max_tokens", (-1,)),
    "num_predict": Foreign("use max_tokens", (-1,)),
    "max_new_tokens": Foreign("use max_tokens"),
    "max_length": Foreign("use max_tokens"),
    "auto_max_new_tokens": Foreign("leave max_tokens out: then a text may fill the context", (False, True)),
    "min_tokens": Foreign(_LENGTHS, (0,)),
    "min_length": Foreign(_LENGTHS, (0,)),
    "t_max_predict_ms": Foreign(_TIME, (0, -1)),
    "t_max_prompt_ms": Foreign(_TIME, (0, -1)),
    "max_time": Foreign(_TIME),
    "max_tokens_second": Foreign("texts come as fast as they are written; leave it out", (0,)),
    # sampling under other names
    "repeat_penalty": Foreign(_PENALTY, (1,)),
    "rep_pen": Foreign(_PENALTY, (1,)),
    "encoder_repetition_penalty": Foreign(_PENALTY, (1,)),
    "penalize_nl": Foreign("use repetition_penalty, which penalises line breaks like all tokens", (True,)),
    "repeat_last_n": Foreign(_HISTORY, (-1,)),
    "rep_pen_range": Foreign(_HISTORY, (0,)),
    "rep_pen_slope": Foreign(_HISTORY, (1,)),
    "repetition_penalty_range": Foreign(_HISTORY, (0,)),
    "typ_p": Foreign("use typical_p", (1,)),
    "typical": Foreign("use typical_p", (1,)),
    "tfs_z": Foreign("use tfs", (1,)),
    "dynamic_temperature": Foreign("use temperature with dynatemp_range", (False,)),
    "dynatemp_low": Foreign("use dynatemp_range: from temperature - dynatemp_range"),
    "dynatemp_high": Foreign("use dynatemp_range: up to temperature + dynatemp_range"),
    "mirostat_mode": Foreign("use mirostat", (0,)),
    "temperature_last": Foreign("use samplers, which gives the order", (False,)),
    "sampler_priority": Foreign("use samplers"),
    "sampler_order": Foreign("use samplers"),
    "sampler_seed": Foreign("use seed"),
    "random_seed": Foreign("use seed"),
    "min_keep": Foreign(
        "every sampler keeps at least one token, and equal ones together; leave it out", (0, 1)
    ),
    "do_sample": Foreign("use temperature: 0 for the likeliest tokens", (True,)),
    "penalty_alpha": Foreign("contrastive search is not implemented; strategies of GET /v1/strategies", (0,)),
    "guidance_scale": Foreign("there is no guidance by a negative prompt; put it into the prompt", (1,)),
    "negative_prompt": Foreign("there is no guidance by a negative prompt; put it into the prompt", ("",)),
    "logits_processors": Foreign("use logit_bias and the samplers of GET /docs", ([],)),
    "custom_logit_processor": Foreign("use logit_bias and the samplers of GET /docs"),
    "watermark": Foreign("texts are not watermarked; leave it out", (False,)),
    # search
    "use_beam_search": Foreign(_BEAMS, (False,)),
    "num_beams": Foreign(_BEAMS, (1,)),
    "length_penalty": Foreign(_BEAMS, (1,)),
    "early_stopping": Foreign(f"{_BEAMS}, which has early_stopping", (False,)),
    # where a text ends
    "stop_sequences": Foreign("use stop"),
    "stop_sequence": Foreign("use stop"),
    "stop_regex": Foreign("use stop, with each string that may end the text"),
    "include_stop_str_in_output": Foreign(
        "a stop string is not part of the text; stop_reason has it", (False,)
    ),
    "no_stop_trim": Foreign("a stop string is not part of the text; stop_reason has it", (False,)),
    "ban_eos_token": Foreign("use ignore_eos", (False,)),
    # tokens
    "allowed_token_ids": Foreign("use logit_bias with -100 or 100 to forbid or favour tokens"),
    "bad_words": Foreign(_WORDS, ([],)),
    "banned_tokens": Foreign(_WORDS, ([],)),
    "custom_token_bans": Foreign(_WORDS, ("",)),
    "spaces_between_special_tokens": Foreign(
        "tokens are put end to end as they are; leave it out", (True, False)
    ),
    "detokenize": Foreign(f"texts are always written out; {_IDS}", (True,)),
    "return_tokens_as_token_ids": Foreign(_IDS, (False,)),
    "return_token_ids": Foreign(_IDS, (False,)),
    "return_tokens": Foreign(_IDS, (False,)),
    "truncate_prompt_tokens": Foreign("a prompt is read as it is; send a shorter one"),
    "truncation_length": Foreign("a prompt is read as it is; send a shorter one"),
    "truncate": Foreign("a prompt is read as it is; send a shorter one"),
    # what is told about tokens
    "n_probs": Foreign("use logprobs", (0,)),
    "top_n_tokens": Foreign("use logprobs", (0,)),
    "prompt_logprobs": Foreign("use POST /v1/score, or echo with logprobs on /v1/completions"),
    "decoder_input_details": Foreign("use POST /v1/score", (False,)),
    "details": Foreign("use logprobs and signals", (False, True)),
    "post_sampling_probs": Foreign("logprobs are the model's own, before any sampler", (False,)),
    "return_hidden_states": Foreign("probes read hidden states: GET /v1/probes, then signals", (False,)),
    "timings_per_token": Foreign(_TIMINGS, (False,)),
    "return_progress": Foreign(_TIMINGS, (False,)),
    "response_fields": Foreign(
        "answers have all their fields; leave it out, and pick those that you need", ([],)
    ),
    # output that is constrained
    "grammar": Foreign(_GRAMMAR, ("",)),
    "grammar_string": Foreign(_GRAMMAR, ("",)),
    "grammar_lazy": Foreign(_GRAMMAR, (False,)),
    "grammar_triggers": Foreign(_GRAMMAR, ([],)),
    "preserved_tokens": Foreign(_GRAMMAR, ([],)),
    "json_schema": Foreign(_GRAMMAR),
    "regex": Foreign(_GRAMMAR),
    "ebnf": Foreign(_GRAMMAR),
    "format": Foreign(_FORMAT, ("",)),
    "structured_outputs": Foreign(_GRAMMAR),
    "structural_tag": Foreign(_GRAMMAR),
    "guided_json": Foreign(_GRAMMAR),
    "guided_regex": Foreign(_GRAMMAR),
    "guided_choice": Foreign(f"{_GRAMMAR}; or weigh the choices by POST /v1/score"),
    "guided_grammar": Foreign(_GRAMMAR),
    "guided_decoding_backend": Foreign(_GRAMMAR),
    "guided_whitespace_pattern": Foreign(_GRAMMAR),
    "response_format": Foreign(_GRAMMAR, ({"type": "text"},)),
    # cache, queue and server
    "cache_prompt": Foreign(_CACHE, (True,)),
    "n_cache_reuse": Foreign(_CACHE, (0,)),
    "n_keep": Foreign("a text ends where the context is full, nothing is shifted out", (0, -1)),
    "n_discard": Foreign("a text ends where the context is full, nothing is shifted out", (0,)),
    "num_ctx": Foreign("the context is the model's own: GET /v1/models"),
    "id_slot": Foreign("slots are assigned as they get free; leave it out", (-1,)),
    "priority": Foreign("requests are served in turn; leave it out", (0,)),
    "request_id": Foreign("send it as the header x-request-id"),
    "rid": Foreign("send it as the header x-request-id"),
    "keep_alive": Foreign("a model stays loaded until another needs its memory; leave it out"),
    "ttl": Foreign("a model stays loaded until another needs its memory; leave it out"),
    "kv_transfer_params": Foreign(_ONE_SERVER),
    "data_parallel_rank": Foreign(_ONE_SERVER),
    "provider": Foreign(_ONE_SERVER),
    "models": Foreign(_ONE_SERVER, ([],)),
    "draft_model": Foreign("there is no speculative decoding, as it changes no text; leave it out"),
    "lora": Foreign(_LORA, ([],)),
    "lora_path": Foreign(_LORA),
    "adapter_id": Foreign(_LORA),
    "options": Foreign("put the fields themselves into the body"),
    "extra_body": Foreign("put the fields themselves into the body", ({},)),
    "vllm_xargs": Foreign("put the fields themselves into the body", ({},)),
    "store": Foreign(_STORAGE, (False,)),
    "metadata": Foreign(_STORAGE, ({},)),
}

COMPLETION_FOREIGN: Mapping[str, Foreign] = MappingProxyType(
    {
        **_SHARED,
        "best_of": Foreign(
            "only the n completions that are returned are written; use n, or a strategy that chooses among "
            "several: self_consistency, probe_best_of_n",
            (1,),
        ),
        "suffix": Foreign(
            "the model only continues a text, it does not fill in; put it into the prompt", ("",)
        ),
        "top_logprobs": Foreign("on /v1/completions use logprobs: N for the N likeliest alternatives"),
        "max_completion_tokens": Foreign("on /v1/completions use max_tokens"),
        "messages": Foreign("on /v1/completions use prompt"),
        "prompt_embeds": Foreign("prompts are texts or token ids; use prompt"),
        "prompt_token_ids": Foreign("use prompt, which takes token ids too"),
        "input_ids": Foreign("use prompt, which takes token ids too"),
        "inputs": Foreign("use prompt"),
        "return_full_text": Foreign("use echo", (False,)),
    }
)

CHAT_FOREIGN: Mapping[str, Foreign] = MappingProxyType(
    {
        **_SHARED,
        "tools": Foreign(_TOOLS, ([],)),
        "tool_choice": Foreign(_TOOLS, ("none", "auto")),
        "tool_prompt": Foreign(_TOOLS, ("",)),
        "parallel_tool_calls": Foreign(_TOOLS, (True, False)),
        "parse_tool_calls": Foreign(_TOOLS, (True, False)),
        "functions": Foreign(_TOOLS, ([],)),
        "function_call": Foreign(_TOOLS, ("none", "auto")),
        "modalities": Foreign("only text is written; leave it out", (["text"],)),
        "audio": Foreign("only text is written; leave it out"),
        "prediction": Foreign("predicted outputs are not implemented, as they change no text; leave it out"),
        "reasoning_effort": Foreign(
            "the length of the solution is the model's own; use max_tokens", ("none",)
        ),
        "verbosity": Foreign("the length of the solution is the model's own; use max_tokens", ("medium",)),
        "think": Foreign(_THINKING, (False,)),
        "reasoning_format": Foreign(_THINKING, ("none", "auto")),
        "include_reasoning": Foreign(_THINKING, (True, False)),
        "separate_reasoning": Foreign(_THINKING, (True, False)),
        "stream_reasoning": Foreign(_THINKING, (True, False)),
        "thinking_token_budget": Foreign(_THINKING),
        "web_search_options": Foreign("this model searches nothing; put what you know into the prompt"),
        "documents": Foreign("put them into a message", ([],)),
        "chat_template": Foreign(_TEMPLATE),
        "chat_template_kwargs": Foreign(_TEMPLATE, ({},)),
        "mm_processor_kwargs": Foreign("only text is read", ({},)),
        "service_tier": Foreign("there is one tier; leave it out", ("auto", "default")),
        "moderation": Foreign("nothing is moderated; leave it out"),
        "safety_identifier": Foreign("nothing is moderated; use user"),
        "prompt_cache_key": Foreign("prompts are cached without a key; leave it out"),
        "prompt_cache_options": Foreign("prompts are cached without options; leave it out"),
        "prompt_cache_retention": Foreign("prompts are cached as long as there is room; leave it out"),
        "echo": Foreign("only /v1/completions can echo its prompt", (False,)),
        "prompt": Foreign("on /v1/chat/completions use messages"),
        "best_of": Foreign("use n, or a strategy that chooses: self_consistency, probe_best_of_n", (1,)),
    }
)

SCORE_FOREIGN: Mapping[str, Foreign] = MappingProxyType(
    {
        "prompt": Foreign("on /v1/score use input"),
        "logprobs": Foreign(
            "every token has its log-probability; use top_logprobs for alternatives", (True,)
        ),
        "user": Foreign("nothing is kept about who asks; leave it out", ("",)),
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

STREAM_OPTIONS_FOREIGN: Mapping[str, Foreign] = MappingProxyType(
    {
        "include_obfuscation": Foreign("chunks are as long as what they say; leave it out", (False, True)),
        "continuous_usage_stats": Foreign("usage comes once, at the end; use include_usage", (False,)),
    }
)
