"""Running a comparison on a model that is loaded here, and showing how far it is."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from typer import echo

from app.api.compared_models import HouseLender
from app.commands.compare_live import LiveTable
from app.commands.failures import FAILED, failing_on
from app.commands.options import require_device
from app.compare.outcome import Outcome
from app.compare.problems import AT_A_TERMINAL
from app.compare.results import ComparisonReport
from app.compare.runner import Comparison
from app.compare.served_model import lent
from app.compare.server.findings import write_report
from app.compare.spec import ComparisonSpec
from app.errors import ComparisonFolderError
from app.main import house_of
from app.settings import load_settings


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
    require_device(settings.device)
    for source in settings.sources[1:]:
        if source.name not in spec.models:
            echo(f"Warning: no arm names the model {source.name!r}; give one the field model.", err=True)
    console = Console(stderr=True, highlight=False)
    with ExitStack() as stack:
        with console.status("Loading the model" if len(spec.models) == 1 else "Loading the models"):
            house = stack.enter_context(closing(house_of(settings)))
            models = stack.enter_context(lent(HouseLender(house), spec))
        with console.status("Drawing problems"):
            comparison = Comparison(models, spec, AT_A_TERMINAL)
        with comparison.folder(path) as folder:
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
