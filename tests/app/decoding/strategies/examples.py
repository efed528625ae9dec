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
    "sample": Example(),
}
