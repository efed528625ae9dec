"""Which problem sets there are: the corpora of this house and, where it is installed, reasoning-gym."""

from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.compare.problem_sets.gym import Gym, require_gym
from app.compare.problem_sets.gym_set import GymSet
from app.compare.problem_sets.problem import Problem
from app.compare.problem_sets.sources import GymProblems
from app.errors import UnknownNameError
from models.corpora.drawing import draw_set
from models.corpora.registry import CORPORA, corpus_named

_LIST_SECONDS = 60.0


class SetSetting(BaseModel):
    """A setting of a problem set."""

    model_config = ConfigDict(frozen=True)

    name: str
    default: bool | int | float | str | list[int | float | str]


class SetDescription(BaseModel):
    """A problem set as the catalogue has it."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="As `problems.name` of a comparison has it; a corpus needs no name there.")
    source: Literal["corpus", "reasoning_gym"] = Field(description="The `problems.source` of a comparison.")
    category: str
    about: str = Field(description="What is asked.")
    settings: list[SetSetting] = Field(description="What makes problems harder, with its defaults.")


class SetExample(BaseModel):
    """A problem of a set; answer: null where the set has a scorer and no answers."""

    model_config = ConfigDict(frozen=True)

    question: str
    answer: str | None


def gym_is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("reasoning_gym") is not None


def problem_sets() -> list[SetDescription]:
    """Every problem set, the corpora first.

    Raises:
        GymError: reasoning-gym does not work here.
    """
    return [*_corpora(), *(_generators() if gym_is_installed() else ())]


def problem_set_named(name: str) -> SetDescription:
    """The problem set of that name.

    Raises:
        UnknownNameError: there is none.
        UnfitError: reasoning-gym would have to be asked and is not installed.
        GymError: reasoning-gym does not work here.
    """
    for each in _corpora():
        if each.name == name:
            return each
    require_gym()
    for each in _generators():
        if each.name == name:
            return each
    raise UnknownNameError(
        f"there is no problem set {name!r}; GET /v1/problem_sets and `demur problems list` have them all.",
        param="name",
    )


def examples_of(source: GymProblems, seed: int, draw_seconds: float) -> list[SetExample]:
    """Problems of a generator, as a comparison draws them.

    Raises:
        ParameterError: it has no such problems, or a setting is wrong.
    """
    problem_set = GymSet(source, seed, draw_seconds)
    try:
        drawn: list[Problem] = problem_set.draw()
    finally:
        problem_set.close()
    return [SetExample(question=each.prompt, answer=each.answer) for each in drawn]


def corpus_example(name: str, seed: int) -> SetExample:
    """A problem of a corpus with its usual settings, of the largest size that is trained on."""
    corpus = corpus_named(name)
    [drawn] = draw_set(corpus, "validation", corpus.sizes.trained_max, 1, seed)
    return SetExample(question=drawn.prompt, answer=str(drawn.answer))


def _corpora() -> list[SetDescription]:
    found: list[SetDescription] = []
    for name in CORPORA:
        corpus = corpus_named(name)
        defaults: dict[str, Any] = corpus.settings.model_dump(mode="json")
        found.append(
            SetDescription(
                name=name,
                source="corpus",
                category="corpus",
                about=f"{corpus.sizes.name}: {corpus.sizes.meaning}",
                settings=[
                    SetSetting(name=setting, default=default)
                    for setting, default in defaults.items()
                    if isinstance(default, bool | int | float | str)
                ],
            )
        )
    return found


@lru_cache(maxsize=1)
def _generators() -> tuple[SetDescription, ...]:
    """Asking takes seconds and has the same answer for as long as the process lives."""
    gym = Gym()
    try:
        listed = gym.ask({"do": "list"}, _LIST_SECONDS)["sets"]
    finally:
        gym.close()
    return tuple(SetDescription(source="reasoning_gym", **each) for each in listed)
