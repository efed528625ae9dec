"""Completions for `demur probe label` from a model that is loaded here."""

from collections.abc import Iterator, Sequence

from app.decoding.core.types import StoppingParams
from app.measure.writing import Beginning, write_all
from models.checkpoint import LoadedCheckpoint
from probes.errors import LabelsError
from probes.fitting.completions import Ask, Asking, Writer, Written


def local_writer(loaded: LoadedCheckpoint, asking: Asking) -> Writer:
    """Lets a loaded model write."""

    def write(asks: Sequence[Ask]) -> Iterator[Written]:
        beginnings = [Beginning(_prompt_ids(loaded, each.prompt.prompt), each.seed) for each in asks]
        stopping = StoppingParams(asking.max_tokens, asking.stop)
        for each in write_all(loaded, beginnings, asking.temperature, stopping):
            yield Written(text=each.text, token_ids=each.token_ids, ended=each.ended)

    return write


def _prompt_ids(loaded: LoadedCheckpoint, prompt: str) -> tuple[int, ...]:
    """The tokens of a prompt.

    Raises:
        LabelsError: there are none, or they fill the model's context.
    """
    ids = tuple(loaded.tokenizer.encode_prompt(prompt))
    context = loaded.model.spec.context_length
    if not 0 < len(ids) < context:
        raise LabelsError(
            f"the prompt {prompt[:40]!r} has {len(ids)} tokens; the model takes 1 to {context - 1}"
        )
    return ids
