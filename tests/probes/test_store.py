"""Probes on disk: what was saved comes back, and nothing else does."""

import itertools
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import models
import probes as package
from models import checkpoint
from models.checkpoint import LoadedCheckpoint
from models.decoder import Decoder
from probes.errors import ProbeFileError, ProbeMismatchError, ProbesError
from probes.store import MAX_BYTES, load_all
from tests.models.killed import lines_of, run_until
from tests.models.tiny import tiny_network
from tests.models.tokenizers import corpus_tokenizer
from tests.probes.tiny import every_family, store_probes

PROBES = every_family((1, 2), (3, 4), (5, 6, 7), d_model=32, last=2)
COMPLETION = [8, 3, 5, 1, 5, 9, 4, 2, 6, 8, 3, 9, 1, 7, 8, 8, 1]


def write_checkpoint(folder: Path, seed: int) -> LoadedCheckpoint:
    checkpoint.save(folder, tiny_network(seed=seed), corpus_tokenizer(), {})
    return checkpoint.load(folder)


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedCheckpoint:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", seed=0)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, loaded: LoadedCheckpoint) -> Path:
    """Stored probes that nobody changes."""
    folder = tmp_path_factory.mktemp("probes") / "tiny"
    store_probes(folder, PROBES, loaded, COMPLETION)
    return folder


@pytest.fixture
def folder(tmp_path: Path, original: Path) -> Path:
    """Stored probes to damage: a linear one and a network."""
    (tmp_path / "tiny").mkdir()
    for name in ("linear", "network"):
        for suffix in ("json", "safetensors"):
            shutil.copy(original / f"{name}.{suffix}", tmp_path / "tiny")
    return tmp_path / "tiny"


def change_card(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


def change_tensors(folder: Path, name: str, tensors: bytes) -> None:
    """Other tensors, with a card that knows them."""
    (folder / f"{name}.safetensors").write_bytes(tensors)
    change_card(folder / f"{name}.json", lambda card: card.update(tensors=sha256(tensors).hexdigest()))


def complaint(folder: Path, loaded: LoadedCheckpoint) -> str | None:
    """What is said against stored probes, if anything; any other exception than ours gets through."""
    try:
        load_all(folder, loaded)
    except ProbesError as error:
        return str(error)
    return None


def test_what_was_saved_comes_back(original: Path, loaded: LoadedCheckpoint) -> None:
    stored = load_all(original, loaded)
    assert [each.card.name for each in stored] == sorted(probe.name for probe in PROBES)
    by_name = {probe.name: probe for probe in PROBES}
    for each in stored:
        mine, theirs = vars(each.probe), vars(by_name[each.probe.name])
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            assert (
                np.array_equal(value, theirs[name])
                if isinstance(value, np.ndarray)
                else value == theirs[name]
            )
        assert each.card.evidence["auroc"] == {"value": 0.5, "interval": [0.4, 0.6]}
        assert each.card.golden.scores
    assert {path.suffix for path in original.iterdir()} == {".json", ".safetensors"}


def test_saving_again_replaces_one_probe_and_keeps_the_others(folder: Path, loaded: LoadedCheckpoint) -> None:
    (folder / "README.md").write_text("mine")
    changed = replace(PROBES[0], bias=PROBES[0].bias + 1)
    store_probes(folder, [changed], loaded, COMPLETION)
    linear, network = load_all(folder, loaded)
    assert linear.probe.bias == pytest.approx(changed.bias)
    assert network.probe.name == "network"
    assert (folder / "README.md").read_text() == "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_a_probe_of_another_checkpoint_is_refused_with_every_difference(
    folder: Path, tmp_path: Path, loaded: LoadedCheckpoint
) -> None:
    other = write_checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(ProbeMismatchError) as raised:
        load_all(folder, other)
    message = str(raised.value)
    assert str(folder / "linear.json") in message
    assert "(and 1 more there)" in message
    assert str(tmp_path / "other") in message
    weights = f"weights: the probe was fitted on {loaded.identity.weights}, the checkpoint has "
    assert weights + other.identity.weights in message
    assert "tokenizer:" not in message  # it is the same
    assert "demur probe fit" in message
    change_card(
        folder / "linear.json", lambda card: card["checkpoint"].update(d_model=64, tokenizer="a" * 64)
    )
    with pytest.raises(ProbeMismatchError) as raised:
        load_all(folder, loaded)
    assert "d_model: the probe was fitted on 64, the checkpoint has 32" in str(raised.value)
    assert f"tokenizer: the probe was fitted on {'a' * 64}" in str(raised.value)
    assert "weights:" not in str(raised.value)


def test_a_checkpoint_that_computes_otherwise_is_refused(folder: Path, loaded: LoadedCheckpoint) -> None:
    """The files are the same, and yet the hidden states are not: only the golden example shows it."""
    other = replace(loaded, model=Decoder(tiny_network(seed=3), "tiny", None))
    with pytest.raises(ProbeMismatchError, match=r"linear\.json: at token \d+ of its golden example"):
        load_all(folder, other)
    change_card(folder / "linear.json", lambda card: card["golden"]["scores"].pop())
    with pytest.raises(ProbeMismatchError, match="but gave no score when it was saved"):
        load_all(folder, loaded)


def test_tensors_of_another_fit_are_refused(folder: Path, original: Path, loaded: LoadedCheckpoint) -> None:
    shutil.copy(original / "answer.safetensors", folder / "linear.safetensors")
    with pytest.raises(ProbeFileError, match=r"linear\.safetensors has sha256 .* its card says"):
        load_all(folder, loaded)


@settings(max_examples=40)
@given(st.sampled_from(["json", "safetensors"]), st.floats(0, 1), st.integers(0, 255))
def test_a_damaged_file_is_named(
    original: Path, loaded: LoadedCheckpoint, kind: str, at: float, byte: int
) -> None:
    """Cut anywhere, or with one byte changed; a card may still be one then, with another text in it."""
    content = (original / f"network.{kind}").read_bytes()
    index = int(at * (len(content) - 1))
    flipped = content[:index] + bytes([content[index] ^ byte]) + content[index + 1 :]
    folder = original.with_name("damaged")
    for damaged in (content[:index], flipped):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for suffix in ("json", "safetensors"):
            shutil.copy(original / f"network.{suffix}", folder)
        (folder / f"network.{kind}").write_bytes(damaged)
        if damaged == content:
            load_all(folder, loaded)
        elif kind == "safetensors" or len(damaged) < len(content) - 1:
            with pytest.raises(ProbeFileError, match=f"network.{kind}"):
                load_all(folder, loaded)
        else:
            said = complaint(folder, loaded)
            assert said is None or "network." in said


@settings(max_examples=40)
@given(st.floats(0, 1), st.integers(1, 255))
def test_damaged_tensors_are_found_even_if_the_card_knows_them(
    original: Path, loaded: LoadedCheckpoint, at: float, byte: int
) -> None:
    content = (original / "network.safetensors").read_bytes()
    index = int(at * (len(content) - 1))
    folder = original.with_name("damaged")
    for damaged in (
        content[:index],
        content[:index] + bytes([content[index] ^ byte]) + content[index + 1 :],
    ):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(original / "network.json", folder)
        change_tensors(folder, "network", damaged)
        said = complaint(folder, loaded)  # a weight's last bit changes no score by 1e-3
        assert said is None or "network." in said


WRONG_TENSORS: dict[str, Callable[[dict[str, Any]], object]] = {
    "missing": lambda arrays: arrays.pop("bias"),
    "unknown": lambda arrays: arrays.update(more=np.zeros(3, np.float32)),
    "shape": lambda arrays: arrays.update(weight=arrays["weight"][:, :-1]),
    "units": lambda arrays: arrays.update(bias=np.zeros(9, np.float32)),
    "matrix": lambda arrays: arrays.update(bias=arrays["bias"][None]),
    "vector": lambda arrays: arrays.update(out_bias=np.zeros(2, np.float32)),
    "dtype": lambda arrays: arrays.update(weight=arrays["weight"].astype(np.float64)),
    "integers": lambda arrays: arrays.update(bias=arrays["bias"].astype(np.int32)),
    "nan": lambda arrays: arrays["weight"].fill(np.nan),
    "infinity": lambda arrays: arrays["out_weight"].fill(np.inf),
}


@pytest.mark.parametrize("wrong", WRONG_TENSORS)
def test_wrong_tensors_are_refused(folder: Path, loaded: LoadedCheckpoint, wrong: str) -> None:
    arrays = {
        name: array.copy()
        for name, array in load_tensors((folder / "network.safetensors").read_bytes()).items()
    }
    WRONG_TENSORS[wrong](arrays)
    change_tensors(
        folder, "network", save_tensors({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    )
    with pytest.raises(ProbeFileError, match=r"network\.safetensors"):
        load_all(folder, loaded)


WRONG_CARDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown key": lambda card: card.update(more=1),
    "unknown inner key": lambda card: card["position"].update(more=1),
    "missing key": lambda card: card.pop("positive"),
    "another version": lambda card: card.update(format=2),
    "another name": lambda card: card.update(name="net"),
    "a path for a name": lambda card: card.update(name="../network"),
    "no hash": lambda card: card["checkpoint"].update(weights="abc"),
    "a layer too many": lambda card: card.update(layers=[3]),
    "another number of layers": lambda card: card.update(layers=[1, 2]),
    "NaN": lambda card: card["evidence"].update(auroc=float("nan")),
    "infinity": lambda card: card["calibration"].update(slope=float("inf")),
    "no knots": lambda card: card["calibration"].update(kind="isotonic"),
    "a negative token": lambda card: card["position"].update(closing=[-1]),
    "a token for text": lambda card: card["position"].update(closing=["1"]),
    "a rule without markers": lambda card: card["position"].update(at="marker"),
    "a token beyond the vocabulary": lambda card: card["golden"].update(prompt_ids=[10**6]),
    "a long golden text": lambda card: card["golden"].update(completion_ids=[8] * 400),
    "a golden token that is none": lambda card: card["golden"]["scores"][0].update(token=99),
    "no golden score": lambda card: card["golden"].update(scores=[]),
    "a huge number": lambda card: card["golden"].update(prompt_ids=[10**400]),
}


@pytest.mark.parametrize("wrong", WRONG_CARDS)
def test_wrong_cards_are_refused(folder: Path, loaded: LoadedCheckpoint, wrong: str) -> None:
    change_card(folder / "network.json", WRONG_CARDS[wrong])
    with pytest.raises(ProbeFileError, match=r"network\.(json|safetensors)"):
        load_all(folder, loaded)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"{", b'{"a":' * 100_000, b"[" * 100_000])
def test_no_card_at_all(folder: Path, loaded: LoadedCheckpoint, content: bytes) -> None:
    (folder / "network.json").write_bytes(content)
    with pytest.raises(ProbeFileError, match=r"network\.json is no card"):
        load_all(folder, loaded)


@pytest.mark.parametrize("kind", ["json", "safetensors"])
def test_an_oversized_or_missing_file(folder: Path, loaded: LoadedCheckpoint, kind: str) -> None:
    path = folder / f"network.{kind}"
    with path.open("ab") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ProbeFileError, match=rf"network\.{kind} is larger than 16 MiB"):
        load_all(folder, loaded)
    path.unlink()
    with pytest.raises(ProbeFileError, match="network"):
        load_all(folder, loaded)


def test_no_folder(tmp_path: Path, loaded: LoadedCheckpoint) -> None:
    with pytest.raises(ProbeFileError, match=r"no folder .*nowhere of probes"):
        load_all(tmp_path / "nowhere", loaded)
    (tmp_path / "empty").mkdir()
    assert load_all(tmp_path / "empty", loaded) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two names in one step")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a killed `with` leaves files
def test_kill_at_any_moment_of_a_save_leaves_the_old_probe_or_the_new(
    folder: Path, tmp_path: Path, loaded: LoadedCheckpoint
) -> None:
    kept = shutil.copytree(folder, tmp_path / "kept")
    changed = replace(PROBES[0], bias=PROBES[0].bias + 1)
    packages = tuple(str(Path(each.__file__ or "").parent) for each in (models, package))

    def save_new() -> None:
        store_probes(folder, [changed], loaded, COMPLETION)

    lines = lines_of(save_new, packages)
    seen: list[float] = []
    # Files are written at the end; of what comes before, a few moments will do.
    for line in (*range(0, lines - 60, 200), *range(lines - 60, lines + 1)):
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        run_until(line, save_new, packages)
        linear, network = load_all(folder, loaded)
        assert network.probe.name == "network"
        seen.append(float(linear.probe.bias[0]))
    old, new = float(PROBES[0].bias[0]), pytest.approx(float(changed.bias[0]))
    assert [bias for bias, _ in itertools.groupby(seen)] == [old, new]
