"""Reading files of one JSON object a line, each checked by a pydantic model."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from models.files import read_bytes

Record = TypeVar("Record", bound=BaseModel)


def read_records(
    path: Path, kind: type[Record], refusal: type[Exception], form: str
) -> Iterator[tuple[int, Record]]:
    """The records of a file, with the numbers of their lines; empty lines are passed over.

    refusal: raised for a line that is no such record, with its number. form: what a line is, or where that is
    said; the end of the message.

    Raises:
        ArtifactError: the file cannot be read.
    """
    # Not `splitlines`: JSON may hold other ends of lines than line feeds as they are.
    for number, line in enumerate(read_bytes(path).decode(errors="replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = kind.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise refusal(
                f"{path}, line {number}: {where + ': ' if where else ''}{first['msg']}; {form}"
            ) from error
        yield number, record
