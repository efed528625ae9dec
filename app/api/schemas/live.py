"""What `stream_options.live` sends beside the text: everything that happens while it is being written."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.absent import is_none

Branch = Annotated[
    str,
    Field(description='"0" is the branch that every choice begins with, "0.1" the second forked from it.'),
]
Position = Annotated[
    int, Field(description="Index into the branch's tokens, the first after the prompt is 0.")
]


class _Happening(BaseModel):
    """index: number of the choice. branch: the one of its texts that it happened to."""

    index: int
    branch: Branch


class LiveAlternative(BaseModel):
    """A token that could have been chosen, with its raw log-probability in nats."""

    token: str
    token_id: int
    logprob: float


class LiveToken(_Happening):
    """A token was written at the end of a branch. It may be taken back; only `choices` hold what is final."""

    type: Literal["token"] = "token"
    position: Position
    token: str
    token_id: int
    logprob: float
    forced: bool | None = Field(
        default=None, exclude_if=is_none, description="True where the strategy put it there undrawn."
    )
    signals: dict[str, float | None] | None = Field(
        default=None,
        exclude_if=is_none,
        description="If the request asks for signals; null where one is not finite.",
    )
    top: list[LiveAlternative] | None = Field(
        default=None,
        exclude_if=is_none,
        description="If the request asks for alternatives, likeliest first.",
    )


class LiveRollback(_Happening):
    """A branch was cut back: it has `position` tokens left."""

    type: Literal["rollback"] = "rollback"
    position: Position
    rule: str
    detail: dict[str, float | int | str]


class LiveFork(_Happening):
    """A new branch began as a copy of the first `position` tokens, which are all so far, of another."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: Literal["fork"] = "fork"
    parent: Branch = Field(serialization_alias="from")
    position: Position


class LiveDrop(_Happening):
    """A branch was abandoned."""

    type: Literal["drop"] = "drop"


class LiveEvent(_Happening):
    """A rule fired at a position, without cutting anything back. As in the `events` of the answer."""

    type: Literal["event"] = "event"
    position: Position
    rule: str
    detail: dict[str, float | int | str]


class LiveChosen(_Happening):
    """The choice is complete and this branch is it: its first `position` tokens are the answer's, with that
    which ended the text. What may follow them in the branch is a stop string."""

    type: Literal["chosen"] = "chosen"
    position: Position


LiveItem = Annotated[
    LiveToken | LiveRollback | LiveFork | LiveDrop | LiveEvent | LiveChosen, Field(discriminator="type")
]
LiveField = Annotated[
    list[LiveItem] | None,
    Field(
        exclude_if=is_none,
        description="In a stream with `stream_options.live`: what happened since the last one, in order.",
    ),
]
