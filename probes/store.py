"""Probes on disk: NAME.safetensors with the weights and NAME.json with the card, and no pickle.

A probe is loaded only beside the checkpoint that it was fitted on, and only if it gives a known text the
scores that it gave when it was saved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from models.checkpoint import LoadedCheckpoint
from models.errors import ModelsError
from models.files import rewriting
from models.language_model import LanguageModel, ModelSpec
from probes.card import CheckpointCard, ProbeCard
from probes.errors import ProbeFileError, ProbeMismatchError
from probes.probe import Probe
from probes.reference_scores import score_text

MAX_BYTES = 16 * 2**20
"""No file of a probe is larger."""

GOLDEN_TOLERANCE = 1e-3
"""How far a score of the golden example may be off."""
INT8_TOLERANCE = 0.05
"""The same where the weights of a network of our own were rounded to int8 (docs/decisions/0030)."""

_TENSORS = ("weight", "bias", "out_weight", "out_bias")


@dataclass(frozen=True)
class StoredProbe:
    """A probe and its card."""

    probe: Probe
    card: ProbeCard


def save(folder: Path, probe: Probe, card: ProbeCard) -> ProbeCard:
    """Store a probe beside the others of a folder, in the place of the one of its name, if there is one.

    A kill leaves the old folder or the new one, as `replace_folder` says. Weights are rounded to float32.

    Returns:
        The card with the hash of the tensors.

    Raises:
        ProbeFileError: the card is not one of this probe.
    """
    if card.name != probe.name:
        raise ProbeFileError(f"the card of {card.name} does not belong to the probe {probe.name}")
    arrays = {name: np.asarray(getattr(probe, name), dtype=np.float32) for name in _TENSORS}
    tensors = save_tensors(arrays)
    card = card.model_copy(update={"tensors": sha256(tensors).hexdigest()})
    _probe(f"{probe.name}.json", card, arrays)  # what could not be loaded again is not written
    with rewriting(folder.resolve()) as partial:
        (partial / f"{probe.name}.safetensors").write_bytes(tensors)
        (partial / f"{probe.name}.json").write_text(card.model_dump_json(indent=2) + "\n")
    return card


def load_all(folder: Path | None, checkpoint: LoadedCheckpoint) -> list[StoredProbe]:
    """All probes of a folder, by name; none where there is no folder to look in.

    Raises:
        ProbeFileError: the folder is missing, or a file is damaged.
        ProbeMismatchError: a probe was fitted on another checkpoint, or its golden example has other scores.
    """
    if folder is None:
        return []
    if not folder.is_dir():
        raise ProbeFileError(f"there is no folder {folder} of probes; give one with NAME.json files")
    cards = {path: _read_card(path) for path in sorted(folder.glob("*.json"))}
    for path in sorted(folder.glob("*.safetensors")):
        if path.with_suffix(".json") not in cards:
            raise ProbeFileError(f"{path} has no card {path.stem}.json beside it; restore it, or remove both")
    _require_same_checkpoint(cards, checkpoint)
    spec = checkpoint.model.spec
    stored = [StoredProbe(_read_probe(path, card, spec), card) for path, card in cards.items()]
    _replay(stored, folder, checkpoint.model)
    return stored


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ProbeFileError(f"cannot read {path}: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise ProbeFileError(f"{path} is larger than {MAX_BYTES // 2**20} MiB, which no probe is")
    return content


def _read_card(path: Path) -> ProbeCard:
    try:
        card = ProbeCard.model_validate_json(_read(path))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, detail["loc"]))
        raise ProbeFileError(f"{path} is no card of a probe: {place or 'it'}: {detail['msg']}") from error
    if card.name != path.stem:
        raise ProbeFileError(f"{path} is the card of a probe named {card.name}; name the file after it")
    return card


def _require_same_checkpoint(cards: Mapping[Path, ProbeCard], checkpoint: LoadedCheckpoint) -> None:
    loaded = CheckpointCard.of(checkpoint)
    others = [path for path, card in cards.items() if card.checkpoint != loaded]
    if not others:
        return
    fitted = cards[others[0]].checkpoint
    differences = "".join(
        f"\n  {name}: the probe was fitted on {getattr(fitted, name)}, the checkpoint has "
        f"{getattr(loaded, name)}"
        for name in CheckpointCard.model_fields
        if getattr(fitted, name) != getattr(loaded, name)
    )
    more = f" (and {len(others) - 1} more there)" if len(others) > 1 else ""
    raise ProbeMismatchError(
        f"the probe {others[0]}{more} was fitted on another checkpoint than {checkpoint.path}:{differences}\n"
        "Its scores would mean nothing. Fit probes on this checkpoint with `demur probe fit`, or give the "
        "checkpoint that these were fitted on, or other probes (--probes), or none (--no-probes)."
    )


def _read_probe(path: Path, card: ProbeCard, spec: ModelSpec) -> Probe:
    tensors_path = path.with_suffix(".safetensors")
    content = _read(tensors_path)
    digest = sha256(content).hexdigest()
    if digest != card.tensors:
        raise ProbeFileError(
            f"{tensors_path} has sha256 {digest}, but its card says {card.tensors or 'nothing'}: one of the "
            "two files is damaged or from another fit; restore both, or fit the probe again"
        )
    try:
        arrays: dict[str, Any] = load_tensors(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ProbeFileError(f"{tensors_path} is damaged: {error}") from error
    probe = _probe(str(tensors_path), card, arrays)
    if probe.layers and (probe.width != spec.d_model or max(probe.layers) > spec.n_layers):
        raise ProbeFileError(
            f"{path} reads layers {list(probe.layers)} of size {probe.width}; the model has layers 0 to "
            f"{spec.n_layers} of size {spec.d_model}"
        )
    ids = (*card.golden.prompt_ids, *card.golden.completion_ids)
    if max(ids) >= spec.vocab_size or len(ids) > spec.context_length:
        raise ProbeFileError(
            f"{path}: the golden example has {len(ids)} tokens with ids up to {max(ids)}; the model takes "
            f"{spec.context_length}, up to {spec.vocab_size - 1}"
        )
    return probe


def _probe(file: str, card: ProbeCard, arrays: Mapping[str, Any]) -> Probe:
    """The probe that a card and tensors describe.

    Raises:
        ProbeFileError: they do not fit each other.
    """
    found = {name: array.dtype for name, array in arrays.items()}
    if set(found) != set(_TENSORS) or any(dtype != np.float32 for dtype in found.values()):
        listed = ", ".join(f"{name} {dtype}" for name, dtype in found.items())
        raise ProbeFileError(
            f"{file} holds {listed or 'nothing'}; a probe has {', '.join(_TENSORS)}, all float32"
        )
    if arrays["bias"].ndim != 1 or arrays["out_bias"].shape != ():
        raise ProbeFileError(f"{file}: bias must be a vector and out_bias a number")
    try:
        return Probe(
            name=card.name,
            position=card.position_of_probe(),
            layers=card.layers,
            weight=arrays["weight"].astype(np.float64),
            bias=arrays["bias"].astype(np.float64),
            out_weight=arrays["out_weight"].astype(np.float64),
            out_bias=float(arrays["out_bias"]),
            signals=card.signals,
            pooling=card.pooling,
            tokens=card.tokens,
            calibration=card.calibration_of_probe(),
        )
    except ProbeFileError as error:
        raise ProbeFileError(f"{file}: {error}") from error


def _replay(stored: Sequence[StoredProbe], folder: Path, model: LanguageModel[Any]) -> None:
    """Raise unless every probe gives its golden example the scores that its card has. Texts may be shared."""
    tolerance = INT8_TOLERANCE if model.spec.dtype == "int8" else GOLDEN_TOLERANCE
    texts: dict[tuple[tuple[int, ...], tuple[int, ...]], list[StoredProbe]] = {}
    for each in stored:
        golden = each.card.golden
        texts.setdefault((golden.prompt_ids, golden.completion_ids), []).append(each)
    for (prompt_ids, completion_ids), probes in texts.items():
        try:
            scores = score_text(model, prompt_ids, completion_ids, [each.probe for each in probes])
        except ModelsError as error:
            names = ", ".join(each.card.name for each in probes)
            raise ProbeFileError(
                f"{folder}: the golden example of {names} cannot be read: {error}"
            ) from error
        for each in probes:
            name = each.card.name
            _compare(folder / f"{name}.json", each.card, [values.get(name) for values in scores], tolerance)


def _compare(path: Path, card: ProbeCard, scores: Sequence[float | None], tolerance: float) -> None:
    expected: list[float | None] = [None] * len(scores)
    for golden in card.golden.scores:
        if golden.token >= len(scores):
            raise ProbeFileError(f"{path}: the golden example has no token {golden.token}")
        expected[golden.token] = golden.score
    for index, (score, right) in enumerate(zip(scores, expected, strict=True)):
        is_same = score == right or (
            score is not None and right is not None and abs(score - right) <= tolerance
        )
        if not is_same:
            raise ProbeMismatchError(
                f"{path}: at token {index} of its golden example the probe gives {_shown(score)}, but gave "
                f"{_shown(right)} when it was saved, though the checkpoint has the same files. The model is "
                "computed differently here (another device, precision or version), so the probe's scores "
                "cannot be trusted; fit it again with `demur probe fit`."
            )


def _shown(score: float | None) -> str:
    return "no score" if score is None else f"{score:.4f}"
