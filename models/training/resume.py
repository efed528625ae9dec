"""Going on with a stored run: only with the config that it was started with, or a longer or shorter one."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.errors import ArtifactError
from models.training.config import PretrainConfig, with_name
from models.training.state import Progress, load_state, read_progress

_LENGTH = {"tokens", "decay_tokens"}


def resume(config: PretrainConfig, state_file: Path, tensors: Mapping[str, Tensor]) -> Progress:
    """Fill the tensors from a stored state, if there is one, and say how far it had come.

    Raises:
        ArtifactError: the state is damaged or that of another run. Only the length of the run may differ,
            and only as long as the learning rate has not begun to fall.
    """
    if not state_file.exists():
        return Progress()
    progress, card = read_progress(state_file)
    there, here = _flat(card), _flat(config.to_card())
    differing = [name for name in there | here if there.get(name) != here.get(name)]
    if not (set(differing) <= _LENGTH and _same_schedule_so_far(progress, there, config)):
        details = ", ".join(
            f"{name} {there.get(name)!r} there, {here.get(name)!r} here" for name in differing
        )
        raise ArtifactError(
            f"{state_file} belongs to another run ({details}); use its settings or another folder"
        )
    load_state(state_file, tensors)
    return progress


def _same_schedule_so_far(progress: Progress, there: Mapping[str, Any], config: PretrainConfig) -> bool:
    stored = dataclasses.replace(config, tokens=there["tokens"], decay_tokens=there["decay_tokens"])
    if (stored.steps, stored.decay_steps) == (config.steps, config.decay_steps):
        return True
    return all(progress.step <= run.steps - run.decay_steps for run in (stored, config))


def _flat(card: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config's card, those of the corpus under dotted names."""
    corpus = with_name(card.get("corpus", {}))
    rest = {name: value for name, value in card.items() if name != "corpus"}
    return rest | {f"corpus.{name}": value for name, value in corpus.items()}
