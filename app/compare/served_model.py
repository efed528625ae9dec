"""What comparisons run on: models with their engines, and who lends them."""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from app.compare.spec import Arm, ComparisonSpec
from app.decoding.calibration.calibration import SignalCalibration
from app.engine.engine import Engine
from app.errors import EngineStoppedError
from models.checkpoint import LoadedCheckpoint
from models.corpora.registry import corpus_of
from probes.store import StoredProbe


@dataclass(frozen=True)
class ServedModel:
    """A model and its engine; the rest is what the engine was made with."""

    engine: Engine
    checkpoint: LoadedCheckpoint
    probes: tuple[StoredProbe, ...] = ()
    calibration: SignalCalibration | None = None


@dataclass(frozen=True)
class LentModels:
    """The models of a comparison while it runs, by the names that its arms call them; None is the default."""

    by_name: Mapping[str | None, ServedModel]

    @classmethod
    def only(cls, model: ServedModel) -> "LentModels":
        """One model, for arms that name none."""
        return cls({None: model})

    def of(self, arm: Arm) -> ServedModel:
        """The model that an arm runs on."""
        return self.by_name[arm.model]

    @property
    def first(self) -> ServedModel:
        """The one that problems are written for where they are shown."""
        return next(iter(self.by_name.values()))

    @property
    def of_corpus(self) -> LoadedCheckpoint:
        """The one whose corpus problems are drawn from: the first that has one, if any has."""
        found = [model.checkpoint for model in self.by_name.values()]
        return next((each for each in found if corpus_of(each.card) is not None), found[0])


class Lender(Protocol):
    """Has models by name, and closes none that is lent."""

    def require(self, spec: ComparisonSpec) -> None:
        """Raise the error that says which arm names a model that there is not, or that all of them can never
        be there together."""
        ...

    def lend(self, name: str | None) -> AbstractContextManager[ServedModel]:
        """A model, the default without a name. Waits until it is loaded, and raises what that raises.

        Raises:
            OverloadedError: there is no memory for it beside those that are in use now.
        """
        ...


@contextmanager
def lent(lender: Lender, spec: ComparisonSpec) -> Generator[LentModels]:
    """All models of a comparison. Raises what the lender does.

    Raises:
        EngineStoppedError: an engine of them has stopped.
    """
    lender.require(spec)
    with ExitStack() as loans:
        models = LentModels({name: loans.enter_context(lender.lend(name)) for name in spec.models})
        if not all(model.engine.running for model in models.by_name.values()):
            raise EngineStoppedError("The engine is not running; try again later.")
        yield models
