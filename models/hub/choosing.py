"""How a network of transformers is run: all rows in one pass, where that gives what each gives alone."""

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import torch

from models.errors import ArtifactError, first_line
from models.hub.batched import BatchedModel
from models.hub.description import describe
from models.hub.dtypes import require_agreement
from models.hub.masks import WINDOW_NAMES
from models.hub.residual_stream import ResidualStream
from models.hub.row_by_row import RowByRowModel, check_past
from models.language_model import EndTokens, LanguageModel, PrefillRow

log = logging.getLogger(__name__)

MOVING_ROPE = frozenset({"dynamic", "longrope"})
"""Rotary positions whose frequencies depend on how long the longest row is."""

_WINDOW = 3  # of layers with a window, while the check's short texts are run


def hub_model(network: Any, name: str, *ends: EndTokens, compiled: bool = False) -> LanguageModel[Any]:
    """The network as a `LanguageModel`; `ends` are tokens that end a text besides those of its config.

    compiled: whether its steps are to be compiled by torch, which takes time now, where they can be.

    Raises:
        ArtifactError: it keeps a past that cannot be cut short, lacks a context length, or hides the residual
            stream between its blocks.
    """
    check_past(network)
    spec = describe(network, name, *ends)
    stream = ResidualStream(network, spec.n_layers)
    try:
        batched = BatchedModel(network, spec, stream)
        check_batched(batched, network)
    except ArtifactError as error:
        log.warning("%s runs its rows one after the other, which is slow: %s", name, error)
        return RowByRowModel(network, spec, stream)
    log.info("%s runs all rows in one forward pass", name)
    if not compiled:
        return batched
    from models.hub.compiled import CompiledModel  # a compiler takes a second to import

    try:
        return CompiledModel(batched, network, stream)
    except ArtifactError as error:
        log.warning("%s is not compiled: %s", name, error)
        return batched


@torch.inference_mode()
def check_batched(model: BatchedModel, network: Any) -> None:
    """Compare a ragged pass, a step and a fork with what transformers computes of each text alone.

    Raises:
        ArtifactError: they differ, or the architecture does not take the cache or the masks.
    """
    config = network.config.get_text_config(decoder=True)
    if moving := MOVING_ROPE & _rope_types(config):
        raise ArtifactError(f"its {min(moving)} positions depend on the longest row")
    random = Random("check")
    drawn = [random.choices(range(model.spec.vocab_size), k=count) for count in (7, 2, 5)]
    texts = [ids[: model.spec.context_length] for ids in drawn]
    with _narrow_windows(config):
        try:
            found = _run_together(model, texts)
        except Exception as error:  # whatever the code of some architecture stumbles over
            raise ArtifactError(f"it refuses ({first_line(error)})") from error
        each = [model.score(text).logits[-1] for text in texts]
    alone = torch.stack((*each, each[0], each[0]))
    require_agreement(network, "together", found, alone)


def _run_together(model: BatchedModel, texts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Last logits of each text, of the first one from a copy of its beginning, and of that in a pass of its
    own."""
    cache = model.new_cache(len(texts) + 1, max(map(len, texts)))
    slots = [2, 0, 1]
    beginnings = [text[: max(1, len(text) - 1)] for text in texts]
    rows = [PrefillRow(slot, 0, tuple(ids)) for slot, ids in zip(slots, beginnings, strict=True)]
    model.prefill(cache, rows)
    cache.copy(slots[0], len(texts), 0, len(texts[0]) - 1)
    last = [(text[-1], slot, len(text) - 1) for text, slot in zip(texts, slots, strict=True)]
    last.append((texts[0][-1], len(texts), len(texts[0]) - 1))
    token_ids, into, positions = zip(*last, strict=True)
    together = model.step(cache, token_ids, into, positions).logits
    return torch.cat((together, model.step(cache, token_ids[:1], into[:1], positions[:1]).logits))


@contextmanager
def _narrow_windows(config: Any) -> Generator[None]:
    """Have layers see so little that short texts tell whether they see what they should."""
    given = {name: getattr(config, name, None) for name in WINDOW_NAMES.values()}
    given = {name: value for name, value in given.items() if value}
    try:
        for name in given:
            setattr(config, name, _WINDOW)
        yield
    finally:
        for name, value in given.items():
            setattr(config, name, value)


def _rope_types(config: Any) -> set[str]:
    """Of all layer types, where these have their own."""
    given = getattr(config, "rope_parameters", None) or {}
    return {str(each.get("rope_type")) for each in (given, *given.values()) if isinstance(each, dict)}
