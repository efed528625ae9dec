"""What every strategy is."""

from typing import ClassVar, Protocol, runtime_checkable

from pydantic import ConfigDict

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.sequence import Sequence
from app.renamed import TakesOldNames

# For `model_config` of whatever parameters are made of: immutable, and an unknown key is an error.
PARAMS_CONFIG = ConfigDict(extra="forbid", frozen=True)


class Strategy(TakesOldNames):
    """Decides how a text is decoded.

    Its fields are its parameters, beginning with `kind: Literal["its_name"] = "its_name"`; its docstring is
    the sentence that the catalogue shows. One object serves all choices of a request at once and cannot be
    changed: whatever changes lives in local variables of `decode`.
    """

    # The titles of the schemas were made from the names of classes that are no more.
    model_config = PARAMS_CONFIG | ConfigDict(model_title_generator=lambda cls: f"{cls.__name__}Params")

    told_the_truth: ClassVar[bool] = False
    """It is told what is wrong, so only comparisons may ask for it."""

    @property
    def needs(self) -> frozenset[str]:
        """Names of the signals that `decode` reads; the engine computes no others unasked."""
        return frozenset()

    async def decode(self, sequence: Sequence) -> Sequence:
        """Write a completion and return the sequence that holds it.

        That is `sequence` itself or one forked from it. A sequence that is returned unfinished
        ends with reason "stop".
        """
        raise NotImplementedError


def kind_of(strategy: type[Strategy]) -> str:
    """The name by which requests ask for it."""
    return strategy.model_fields["kind"].default


class Runnable(Protocol):
    """What the engine runs: a strategy, or anything that decodes as one does."""

    @property
    def needs(self) -> frozenset[str]: ...

    async def decode(self, sequence: Sequence) -> Sequence: ...


@runtime_checkable
class Ranking(Protocol):
    """A strategy that searches for the best texts: choice i of a request is the one at place i."""

    @property
    def texts(self) -> int:
        """How many different texts a search may end with; a request may ask for as many choices."""
        ...


@runtime_checkable
class Calibrated(Protocol):
    """A strategy that takes thresholds which a request leaves out from the model's calibration."""

    def thresholds(self, calibration: SignalCalibration | None) -> object:
        """What `decode` works with; the engine asks before it takes a request.

        Raises:
            ParameterError: a threshold was not given, and there is no calibration to take it from.
        """
        ...
