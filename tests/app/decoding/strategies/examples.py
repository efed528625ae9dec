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


EXAMPLES: Mapping[str, Example] = {
    "greedy": Example(),
    "random_retry": Example(
        params={"probability": 0.5},
        changes={
            "probability": {"probability": 0.9},
            "step_ends": {"step_ends": ("e",)},
            "retry": {"retry": {"per_step": 1}},
        },
    ),
    "retry_upon_regret": Example(
        params={"triggers": [{"signal": "probe:pooled_every", "threshold": 0.6}]},
        changes={
            "triggers": {"triggers": [{"signal": "entropy", "threshold": 3.0}]},
            "granularity": {"granularity": "token"},
            "check": {"check": "step_end"},
            "step_ends": {"step_ends": ("e",)},
            "retry": {"retry": {"give_up": "keep_last"}},
        },
    ),
    "sample": Example(),
}
