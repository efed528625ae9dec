"""What every strategy is."""

from typing import Protocol, runtime_checkable

from pydantic import ConfigDict

from app.decoding.calibration.calibration import Calibration
from app.decoding.core.sequence import Sequence

# For `model_config` of every parameter model: immutable, and an unknown key is an error.
PARAMS_CONFIG = ConfigDict(extra="forbid", frozen=True)


class Strategy(Protocol):
    """Decides how a text is decoded.

    One object serves all choices of a request at once, so it keeps no state of its own between
    or during calls: whatever changes lives in local variables of `decode`.
    """

    @property
    def needs(self) -> frozenset[str]:
        """Names of the signals that `decode` reads; the engine computes no others unasked."""
        ...

    async def decode(self, sequence: Sequence) -> Sequence:
        """Write a completion and return the sequence that holds it.

        That is `sequence` itself or one forked from it. A sequence that is returned unfinished
        ends with reason "stop".
        """
        ...


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

    def thresholds(self, calibration: Calibration | None) -> object:
        """What `decode` works with; the engine asks before it takes a request.

        Raises:
            ParameterError: a threshold was not given, and there is no calibration to take it from.
        """
        ...
