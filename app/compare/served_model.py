"""What comparisons run on: a model, its engine, and what the engine was made with."""

from dataclasses import dataclass
from pathlib import Path

from app.compare.about import about
from app.compare.folder import RunFolder
from app.compare.problems import Allowance
from app.compare.runner import Comparison
from app.compare.spec import ComparisonSpec
from app.decoding.calibration.calibration import SignalCalibration
from app.engine.engine import Engine
from models.checkpoint import LoadedCheckpoint
from probes.store import StoredProbe


@dataclass(frozen=True)
class ServedModel:
    """What comparisons run on: a model and its engine; the rest is what the engine was made with."""

    engine: Engine
    checkpoint: LoadedCheckpoint
    probes: tuple[StoredProbe, ...] = ()
    calibration: SignalCalibration | None = None

    def comparison(self, spec: ComparisonSpec, allowance: Allowance | None = None) -> Comparison:
        """The comparison. allowance: what it may do on this machine; as little as over HTTP if None.

        Raises:
            RequestError: this model cannot run it; the message names the arm or the problem.
        """
        return Comparison(self.engine, self.checkpoint, spec, allowance)

    def folder(self, path: Path, comparison: Comparison, *, must_exist: bool = False) -> RunFolder:
        """Its folder, made if there is none, unless it `must_exist`.

        Raises:
            ComparisonFolderError: it cannot be used, or was begun on something else.
        """
        spec = comparison.spec
        ran_on = about(spec, self.checkpoint, self.probes, self.calibration)
        return RunFolder.create_or_resume(path, spec, ran_on, comparison.problems, must_exist=must_exist)
