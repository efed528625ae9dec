"""Which setting of each strategy is asked the test split: by the validation splits of some sets together."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from app.compare.folder import read_outcomes
from app.compare.outcome import Outcome
from benchmarks.real_models.settings import Settings
from models.files import write_json

VALIDATION = ("validation-1", "validation-2")
COST_FILE = "cost.json"
"""What a comparison took; where it is there, the comparison is complete."""
CHOSEN_FILE = "chosen.json"


def choose(settings: Settings, folder: Path) -> dict[str, str]:
    """The chosen arm of every strategy, by the strategy's name; kept in the folder too. Of one that ran
    nowhere it is the first, so that the test says why it cannot run there either."""
    outcomes = outcomes_of(folder, VALIDATION)
    chosen: dict[str, str] = {}
    for each in settings.strategies:
        tried = {arm["name"]: outcomes[arm["name"]] for arm in each.arms() if arm["name"] in outcomes}
        chosen[each.name] = best(tried, settings.near) if tried else str(each.arms()[0]["name"])
    write_json(folder / CHOSEN_FILE, dict(chosen))
    return chosen


def best(tried: Mapping[str, list[Outcome]], near: float) -> str:
    """The most accurate arm, or the cheapest of those within `near` of it; of equals the first. They are
    compared on the questions that all of them were asked, if there are any."""
    asked = set.intersection(*({each.problem for each in found} for found in tried.values()))
    if asked:
        tried = {name: [each for each in found if each.problem in asked] for name, found in tried.items()}
    accuracy = {name: sum(bool(each.correct) for each in found) / len(found) for name, found in tried.items()}
    tokens = {
        name: sum(each.completion_tokens + each.discarded_tokens for each in found) / len(found)
        for name, found in tried.items()
    }
    highest = max(accuracy.values())
    return min((name for name in tried if accuracy[name] >= highest - near), key=lambda name: tokens[name])


def outcomes_of(folder: Path, stages: Sequence[str]) -> dict[str, list[Outcome]]:
    """Outcomes of all sets of some stages by arm; the problem's id begins with its set."""
    found: dict[str, list[Outcome]] = {}
    for run in sorted(each for stage in stages for each in (folder / stage).iterdir()):
        for outcome in read_outcomes(run):
            renamed = outcome.model_copy(update={"problem": f"{run.name}/{outcome.problem}"})
            found.setdefault(outcome.arm, []).append(renamed)
    return found
