"""How far a comparison of a server is: what is kept in its folder, and what is told about it."""

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import ComparisonFolderError
from models.files import write_atomically

STATE_FILE = "state.json"

Status = Literal["queued", "running", "done", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = get_args(Status)


class State(BaseModel):
    """What `state.json` holds. Times are in seconds since 1970, None for what has not happened.

    total, samples: outcomes and latency samples that the comparison has when it is done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status
    total: int
    samples: int
    created: float
    started: float | None = None
    finished: float | None = None
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
    status: Status
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
    error: str | None = Field(description="Why it failed, and the fix.")

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
        raise ComparisonFolderError(f"{path} is damaged, or of another version.") from error


def write_state(folder: Path, state: State) -> None:
    """Replace the state in the folder, atomically.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(folder / STATE_FILE, state.model_dump_json().encode() + b"\n")
