"""Running a comparison on a model that is loaded here, and showing how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from app.commands.compare_live import LiveTable
from app.commands.failures import FAILED, failing_on
from app.commands.options import require_device
from app.compare.outcome import Outcome
from app.compare.problems import AT_A_TERMINAL
from app.compare.results import ComparisonReport
from app.compare.served_model import ServedModel
from app.compare.server.findings import write_report
from app.compare.spec import ComparisonSpec
from app.decoding.calibration.calibration import read_calibration
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from app.errors import ComparisonFolderError
from app.settings import load_settings
from models import checkpoint
from probes.store import load_all


@dataclass(frozen=True)
class Finished:
    """What a comparison comes to. prompts: by problem."""

    report: ComparisonReport
    outcomes: Sequence[Outcome]
    prompts: Mapping[str, str]


def run_here(
    spec: ComparisonSpec, path: Path, options: Mapping[str, object], *, must_exist: bool = False
) -> Finished:
    """Run a comparison to its end, or what is missing of it, and write its report.

    options: settings of the service that decide what is loaded. must_exist: the folder has to hold the run.

    Raises:
        DemurError: the spec does not fit the model, an arm failed, or the folder cannot be used.
        ModelsError, ProbesError: the model or its probes cannot be loaded.
    """
    if must_exist and not path.is_dir():
        raise ComparisonFolderError(
            f"there is no folder {path} to go on with; leave out --resume to begin it."
        )
    settings = load_settings(options)
    console = Console(stderr=True, highlight=False)
    with console.status(f"Loading {settings.checkpoint}"):
        loaded = checkpoint.load(settings.checkpoint, require_device(settings.device), settings.dtype)
        stored = load_all(settings.probes_folder, loaded)
        calibration = read_calibration(loaded.path, loaded.identity)
    limits = EngineLimits(max_rows=settings.max_rows)
    with Engine(loaded, limits, [each.probe for each in stored], calibration) as engine:
        served = ServedModel(engine, loaded, tuple(stored), calibration)
        with console.status("Drawing problems"):
            comparison = served.comparison(spec, AT_A_TERMINAL)
        with served.folder(path, comparison) as folder:
            have = len(folder.outcomes)
            begins = "Going on with" if have else "Writing to"
            console.print(f"{begins} {path}: {have} of {comparison.total} answers are there.", soft_wrap=True)
            live = LiveTable(spec)
            live.resume(folder.outcomes, folder.latency)
            # The folder was usable when the run began: what goes wrong with it now is no wrong use.
            with failing_on(ComparisonFolderError, status=FAILED), live:
                comparison.run(folder, live.outcome, live.sample)
            with console.status("Writing the report"):
                report = write_report(folder)
            prompts = {problem.id: problem.prompt for problem in comparison.problems}
            return Finished(report, folder.outcomes, prompts)
