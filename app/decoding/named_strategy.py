"""A strategy as it is given outside of a request: on a command line."""

from pydantic import BaseModel, ValidationError

from app.decoding.strategies import StrategyParams
from app.errors import ParameterError
from app.invalid import first_complaint


class _Given(BaseModel):
    strategy: StrategyParams


def strategy_of(data: object) -> StrategyParams:
    """The strategy that `{"kind": ...}` describes, with its parameters.

    Raises:
        ParameterError: it describes none; the message names the parameter, its value and what is allowed.
    """
    given = {"strategy": data}
    try:
        return _Given.model_validate(given).strategy
    except ValidationError as error:
        complaint = first_complaint(error.errors(include_url=False), given, _Given)
    assert complaint is not None, "an object was given"
    raise ParameterError(f"{complaint.message.rstrip('.')}.", param=complaint.param, code=complaint.code)
