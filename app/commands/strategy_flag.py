"""A strategy that a flag of the command line names."""

import json
from collections.abc import Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from app.decoding.strategies import STRATEGIES, RequestStrategy, Strategy
from app.errors import ParameterError, UnknownNameError
from app.invalid import first_complaint


class _Given(BaseModel):
    strategy: RequestStrategy


def strategy_of_flag(given: str) -> Strategy:
    """The strategy that `KIND` or `{"kind": "KIND", ...}` names.

    Raises:
        UnknownNameError: there is no such kind.
        ParameterError: it is neither, or a parameter is not one of this kind or out of its range.
    """
    asked = _fields(given) if given.lstrip().startswith("{") else {"kind": given}
    kind = asked.get("kind")
    if not isinstance(kind, str):
        raise ParameterError(
            f'--strategy is {given!r}, which names no kind; write {{"kind": "sample"}}, with one of '
            f"{', '.join(STRATEGIES)}.",
            param="strategy",
        )
    require_kind(kind, tuple(STRATEGIES))
    try:
        return _parameters(asked)
    except ParameterError as error:
        names = ", ".join(name for name in STRATEGIES[kind].params_schema["properties"] if name != "kind")
        raise ParameterError(
            f"--strategy: {error.message.rstrip('.')}. {kind} takes {names or 'no parameters'}.",
            param=error.param,
            code=error.code,
        ) from error


def require_kind(kind: str, kinds: Sequence[str]) -> None:
    """Refuse a kind of strategy that there is not.

    Raises:
        UnknownNameError: the message names the nearest one, and all.
    """
    if kind in kinds:
        return
    nearest = get_close_matches(kind, kinds, n=1)
    all_there_are = f"{f'did you mean {nearest[0]}? There' if nearest else 'there'} are {', '.join(kinds)}."
    raise UnknownNameError(f"--strategy: there is no strategy {kind!r}; {all_there_are}", param="strategy")


def _parameters(asked: object) -> Strategy:
    given = {"strategy": asked}
    try:
        return _Given.model_validate(given).strategy
    except ValidationError as error:
        complaint = first_complaint(error.errors(include_url=False), given, _Given)
    assert complaint is not None, "an object was given"
    raise ParameterError(complaint.message, param=complaint.param, code=complaint.code)


def _fields(given: str) -> dict[str, object]:
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as error:
        raise ParameterError(
            f"--strategy is {given!r}, which is not JSON: {error}. Names and texts stand in double quotes: "
            '{"kind": "sample"}.',
            param="strategy",
        ) from error
