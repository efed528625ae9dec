"""For every strategy: parameters under which it does what it is there for, and for each parameter a change
that must show. On the tiny model of `tests.app.engine.tiny`, whose full stops are favoured, so that there are
steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Example:
    """One strategy.

    params: its parameters, apart from `kind`.
    changes: per parameter, what to change for it to show; mostly the parameter itself.
    sampling: fields of the request's own sampling.
    """

    params: Fields = field(default_factory=dict[str, Any])
    changes: Mapping[str, Fields] = field(default_factory=dict[str, Fields])
    sampling: Fields = field(default_factory=dict[str, Any])


RETRY: Fields = {"per_step": 2, "per_answer": 3, "temperature": 1.2}
RETRY_CHANGES: Mapping[str, Fields] = {
    "retry.per_step": {"retry": {"per_step": 1}},
    "retry.per_answer": {"retry": {"per_answer": 2}},
    "retry.first": {"retry": {"first": "greedy"}},
    "retry.temperature": {"retry": {"temperature": 3.0}},
    "retry.penalty": {"retry": {"penalty": 50.0}},
    "retry.penalised_tokens": {"retry": {"penalty": 50.0, "penalised_tokens": 3}},
    "retry.give_up": {"retry": {"give_up": "stop"}},
}

# Short texts of full stops and one letter, so that several of them give the same answer.
VOTING: Fields = {"temperature": 4.0, "logit_bias": {0: 84.0, 46: 84.0, 65: 80.0}}

EXAMPLES: Mapping[str, Example] = {
    "abstain": Example(
        params={"score": "mean_entropy", "level": 0.1},
        changes={
            "level": {"level": 0.05},
            "delta": {"delta": 0.2},
            "risk": {"risk": "overall"},
            "score": {"score": "surprisal"},
            "decoding": {"decoding": "sample"},
            "threshold": {"threshold": 9.0},
        },
    ),
    "adadec": Example(
        params={"threshold": 2.2},
        changes={
            "threshold": {"threshold": 2.8},
            "candidates": {"candidates": 8},
            "lookahead": {"lookahead": 2},
        },
    ),
    "eager": Example(
        params={"threshold": 2.5, "samples": 6, "answer_marker": "."},
        changes={
            "threshold": {"threshold": 1.0},
            "samples": {"samples": 3},
            "choose": {"choose": "best"},
            "answer_marker": {"answer_marker": "Answer:"},
        },
        sampling={"temperature": 0.9},
    ),
    "entropix": Example(
        params={
            "entropy_low": 2.8,
            "entropy_high": 2.8,
            "varentropy_low": 3.0,
            "varentropy_high": 3.0,
            # Bytes that are no text end a step too, so that branches are short and every quadrant is met.
            "step_ends": (".", "\ufffd"),
        },
        changes={
            "entropy_low": {"entropy_low": 0.5},
            "entropy_high": {"entropy_high": 3.2},
            "varentropy_low": {"varentropy_low": 2.0},
            "varentropy_high": {"varentropy_high": 4.0},
            "candidates": {"candidates": 8},
            "lookahead": {"lookahead": 1},
            "step_ends": {"step_ends": (".",)},
            "resample": {"resample": "without"},
            "resample_temperature": {"resample_temperature": 4.0},
        },
    ),
    "entropy_gated_branching": Example(
        params={"threshold": 2.2, "score": "entropy"},
        changes={
            "threshold": {"threshold": 3.0},
            "candidates": {"candidates": 2},
            "width": {"width": 3},
            "step_ends": {"step_ends": ("e",)},
            "score": {"score": "logprob"},
            "prefer": {"prefer": "high"},
        },
    ),
    "entropy_stop": Example(
        params={"rule": {"statistic": "recent_mean", "window": 4}, "threshold": 3.2, "answer_marker": "the"},
        changes={
            "rule": {"rule": {"window": 16}},
            "threshold": {"threshold": 2.5},
            "min_steps": {"min_steps": 3},
            "then": {"then": "end"},
            "answer_marker": {"answer_marker": "ab"},
            "step_ends": {"step_ends": ("e",)},
        },
    ),
    "entropy_temperature": Example(
        params={"rule": {"formula": "edt"}},
        changes={"rule": {"rule": {"formula": "dynamic"}}},
    ),
    "beam": Example(
        params={"width": 4, "groups": 2, "diversity_penalty": 0.5, "length_penalty": 1.0},
        changes={
            "width": {"width": 6},
            "length_penalty": {"length_penalty": -3.0},
            "early_stopping": {"early_stopping": "never"},
            "groups": {"groups": 4},
            "diversity_penalty": {"diversity_penalty": 4.0},
        },
    ),
    "greedy": Example(),
    "confidence_voting": Example(
        params={"samples": 10, "window": 2, "answer_marker": ".", "keep_percent": 50},
        changes={
            "samples": {"samples": 5},
            "warmup": {"warmup": 2},
            "keep_percent": {"keep_percent": 100},
            "window": {"window": 1},
            "weight": {"weight": "mean"},
            "consensus": {"consensus": None},
            "batch": {"batch": 10},
            "answer_marker": {"answer_marker": "e"},
        },
        sampling=VOTING,
    ),
    "early_answer": Example(
        params={"triggers": [{"signal": "probe:pooled_every", "threshold": 0.6}], "answer_marker": "the"},
        changes={
            "triggers": {"triggers": [{"signal": "entropy", "threshold": 2.0}]},
            "check": {"check": "step_end"},
            "min_steps": {"min_steps": 0},
            "answer_marker": {"answer_marker": "ab"},
            "step_ends": {"step_ends": ("e",)},
        },
    ),
    "probe_beam": Example(
        params={"probes": ["probe:pooled_every"]},
        changes={
            "probes": {"probes": ["probe:linear"]},
            "width": {"width": 1},
            "samples": {"samples": 4},
            "step_ends": {"step_ends": ("e",)},
        },
    ),
    "probe_best_of_n": Example(
        params={"probe": "probe:pooled_every"},
        changes={
            "probe": {"probe": "probe:with_signals"},
            "samples": {"samples": 2},
            "aggregate": {"aggregate": "last"},
        },
    ),
    "probe_voting": Example(
        params={"samples": 8, "answer_marker": ".", "probes": ["probe:pooled_every"]},
        changes={
            "samples": {"samples": 5},
            "probes": {"probes": ["probe:pooled_every", "probe:answer"]},
            "weight": {"weight": "log_odds"},
            "aggregate": {"aggregate": "min"},
            "answer_marker": {"answer_marker": "e"},
        },
        sampling=VOTING,
    ),
    "random_retry": Example(
        {"probability": 0.6, "retry": RETRY},
        {"probability": {"probability": 0.2}, "step_ends": {"step_ends": ["e", "t"]}, **RETRY_CHANGES},
    ),
    "stochastic_backtracking": Example(
        params={"probe": "probe:linear"},
        changes={
            "probe": {"probe": "probe:with_signals"},
            "aggregate": {"aggregate": "last"},
            "backtrack": {"backtrack": 0.5},
            "moves": {"moves": 2},
            "max_steps": {"max_steps": 2},
            "step_ends": {"step_ends": ("e",)},
        },
    ),
    "retry_upon_regret": Example(
        {"triggers": [{"signal": "surprisal", "threshold": 3.0}], "retry": RETRY},
        {
            "triggers": {"triggers": [{"signal": "probe:linear", "threshold": 0.4}]},
            "again": {"again": [{"signal": "surprisal", "threshold": 0.5}]},
            "granularity": {"granularity": "token"},
            "check": {"check": "step_end"},
            "step_ends": {"step_ends": ["e", "t"]},
            **RETRY_CHANGES,
        },
    ),
    "sample": Example(),
    "self_consistency": Example(
        params={"samples": 10, "answer_marker": "."},
        changes={
            "samples": {"samples": 5},
            "answer_marker": {"answer_marker": "e"},
            "ties": {"ties": "logprob"},
            "stop": {"stop": "never"},
            "confidence": {"stop": "confident", "confidence": 0.6},
            "batch": {"batch": 10},
        },
        sampling=VOTING,
    ),
}
