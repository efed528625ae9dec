"""What waits for a token, its place in a forward pass, and what that pass found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from app.decoding.core.commands import TokenCommand
from app.engine.requests import Choice, RequestGroup
from app.engine.slot import Slot
from app.engine.tasks import Task
from models.language_model import StepOutput


@dataclass(eq=False, slots=True)
class Pending:
    """A task of a choice that waits for a token."""

    choice: Choice
    task: Task

    @property
    def group(self) -> RequestGroup:
        """Of its request."""
        return self.choice.owner.group


@dataclass(eq=False, slots=True)
class Row:
    """A pending token's place in the forward pass.

    ids: the sequence's. Those from `start` to `end` go through the model; if more are lacking, its token has
    to wait. A row of the same ids as `leader`, which is in the same pass, takes what that one finds.
    taken_over: ids that it need not compute, since another text had them when its turn came.
    """

    pending: Pending
    request: TokenCommand
    slot: Slot
    ids: list[int]
    start: int
    end: int
    leader: "Row | None" = None
    taken_over: int = 0


@dataclass
class PassResult:
    """What was found for `rows`, in their order, and the rows whose forward pass raised.

    found: None where there is no row; with what probes need, if some row wants one. computed: how many of the
    rows went through the model; the others took what one of these found. prefill_tokens, prefill_seconds:
    what rows that lacked several ids took. step_rows, step_seconds: what those that lacked one took.
    """

    rows: list[Row] = field(default_factory=list[Row])
    found: StepOutput | None = None
    failed: list[tuple[Row, Exception]] = field(default_factory=list[tuple[Row, Exception]])
    passes: int = 0
    prefill_tokens: int = 0
    prefill_seconds: float = 0.0
    step_rows: int = 0
    step_seconds: float = 0.0
    computed: int = 0

    def put_in_order(self, rows: list[Row], places: Mapping[Row, int]) -> None:
        """Have `rows`, each of whose logits are at its place now."""
        self.rows = rows
        order = [places[row] for row in rows]
        if not rows:
            self.found = None
        if self.found is not None and order != list(range(len(self.found.logits))):
            self.found = self.found.at(torch.tensor(order, device=self.found.logits.device))
