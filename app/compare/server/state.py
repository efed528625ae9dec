"""How far a comparison of a server is: what is kept in its folder, and what is told about it."""

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.absent import is_none
from app.errors import ComparisonFolderError
from models.files import write_atomically

STATE_FILE = "state.json"

KeptStatus = Literal["queued", "running", "done", "failed", "cancelled"]
"""What a folder may say of itself."""
Status = KeptStatus | Literal["damaged"]
"""damaged: its folder cannot be read, as `error` says."""
STATUSES: tuple[str, ...] = (*get_args(KeptStatus), "damaged")


_LAST = 1e11
"""A time after which no comparison begins, in seconds since 1970."""


class State(BaseModel):
    """What `state.json` holds. Times are in seconds since 1970, None for what has not happened.

    total, samples: outcomes and latency samples that the comparison has when it is done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    status: KeptStatus
    total: int = Field(ge=0)
    samples: int = Field(ge=0)
    created: float = Field(ge=0, le=_LAST)
    started: float | None = Field(default=None, ge=0, le=_LAST)
    finished: float | None = Field(default=None, ge=0, le=_LAST)
    error: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether it runs, or is going to."""
        return self.status in ("queued", "running")


class ComparisonStatus(BaseModel):
    """How far a comparison is."""

    model_config = ConfigDict(frozen=True)

    id: str
    object: Literal["comparison"] = "comparison"
    name: str | None = Field(description="As the comparison's spec has it.")
    status: Status = Field(
        description="queued, running, done, failed or cancelled; damaged if its folder cannot be read, which "
        "leaves nothing to do but to mend or to delete it."
    )
    done: int = Field(description="Outcomes so far: what an arm made of a problem.")
    total: int = Field(description="Outcomes in the end: problems times arms.")
    samples_done: int = Field(
        description="Latency samples so far, which are taken one at a time when all outcomes are there."
    )
    samples_total: int = Field(description="Latency samples in the end.")
    eta_s: float | None = Field(
        description="Seconds that what is left takes at the pace so far; null before there is a pace, and "
        "unless it runs."
    )
    arms: list[str] = Field(description="Names of the arms.")
    problems: int
    created: int = Field(description="When it was submitted, in seconds since 1970.")
    started: int | None = Field(description="When it last began to run.")
    finished: int | None
    error: str | None = Field(description="Why it failed, or what is damaged, and the fix.")
    warnings: list[str] | None = Field(
        default=None,
        exclude_if=is_none,
        description="What the spec calls by an old name; in the answer to its submission only.",
    )

    @property
    def unfinished(self) -> bool:
        """Whether it runs, or is going to."""
        return self.status in ("queued", "running")


def read_state(folder: Path) -> State:
    """The state that a comparison's folder holds.

    Raises:
        ComparisonFolderError: it holds none, or a damaged one.
    """
    path = folder / STATE_FILE
    try:
        return State.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ComparisonFolderError(f"cannot read {path}: {error.strerror or error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ComparisonFolderError(
            f"{path} is damaged, or of another version: {place}: {first['msg']}."
        ) from error


def plain(text: str) -> str:
    """A text that any encoding of Unicode can write: what a damaged file holds may be none."""
    return text.encode(errors="replace").decode()


def write_state(folder: Path, state: State) -> None:
    """Replace the state in the folder, atomically.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(folder / STATE_FILE, state.model_dump_json().encode() + b"\n")
