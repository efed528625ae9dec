import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
import torch

from models import checkpoint, pretrain
from models.corpora.drawing import draw_set
from models.corpora.igsm.igsm import Igsm
from models.corpora.registry import corpus_named
from models.decoder import Decoder
from models.errors import ArtifactError, SpecError
from models.evaluate import OpResult
from models.evaluate import evaluate as solve
from models.pretrain import Observer, TrainedModel
from models.training.config import PretrainConfig
from models.training.log import LossRow
from models.training.state import Progress
from tests.models.killed import Killed
from tests.models.runs import CONFIG, LEARNED, assert_same_log, assert_same_weights, rows


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizer, which is the same in every run, is trained once; the state is saved at every log row."""
    monkeypatch.setattr(Igsm, "make_tokenizer", _tokenizer)
    monkeypatch.setattr(pretrain, "STATE_SECONDS", 0.0)


_tokenizer = cache(Igsm.make_tokenizer)


def run(
    folder: Path,
    config: PretrainConfig = CONFIG,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainedModel:
    return pretrain.pretrain(config, folder, "cpu", False, observer, should_stop)


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody interrupted."""

    folder: Path
    trained: TrainedModel


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Igsm, "make_tokenizer", _tokenizer)
        return Undisturbed(folder, run(folder))


def kill() -> None:
    raise Killed


def test_loss_falls(undisturbed: Undisturbed) -> None:
    losses = [float(row["solution_loss"]) for row in rows(undisturbed.folder)]
    assert losses[0] < math.log(_tokenizer(CONFIG.corpus).vocab_size) + 0.5
    assert losses[-1] < losses[0] - 1


def test_log_has_a_row_every_twenty_steps_and_at_the_end(undisturbed: Undisturbed) -> None:
    loss, validation = rows(undisturbed.folder), rows(undisturbed.folder, "validation")
    assert [row["step"] for row in loss] == ["20", "40", "60", "70"]
    assert [float(row["rate_factor"]) for row in loss] == pytest.approx(
        [CONFIG.rate_factor(step) for step in (19, 39, 59, 69)], rel=1e-4
    )
    assert [(row["step"], row["op"]) for row in validation] == [
        ("40", "1"),
        ("40", "2"),
        ("70", "1"),
        ("70", "2"),
    ]
    progress = undisturbed.trained.progress
    assert progress.step == CONFIG.steps == 70
    assert loss[-1]["tokens"] == str(progress.tokens)
    assert 0.8 * CONFIG.tokens < progress.tokens <= CONFIG.tokens


def test_validation_is_the_accuracy_of_the_saved_checkpoint(undisturbed: Undisturbed, tmp_path: Path) -> None:
    trained = undisturbed.trained
    sets = pretrain.validation_sets(CONFIG)
    results = pretrain.validate(trained.network, trained.tokenizer, CONFIG.corpus, sets)
    assert [result.solved for result in results] == [
        int(row["correct"]) for row in rows(undisturbed.folder, "validation")[-2:]
    ]
    decoder = Decoder(trained.network, "trained", trained.tokenizer.end_token_id)
    for result in results:
        problems = draw_set(CONFIG.corpus, "validation", result.op, 2, seed=0)
        assert solve(decoder, trained.tokenizer, CONFIG.corpus, problems) == result
    checkpoint.save(tmp_path / "a", trained.network, trained.tokenizer, {})
    assert checkpoint.load(tmp_path / "a").model.spec.vocab_size == decoder.spec.vocab_size


def test_same_config_gives_the_same_weights_and_another_seed_others(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    again = run(tmp_path / "a")
    assert_same_weights(again, undisturbed.trained)
    assert_same_log(tmp_path / "a", undisturbed.folder)
    other = run(tmp_path / "b", replace(CONFIG, seed=4, tokens=4 * 64 * 20, decay_tokens=0))
    assert rows(tmp_path / "b")[0]["loss"] != rows(undisturbed.folder)[0]["loss"]
    assert other.progress.step == 20


def test_run_stopped_after_every_row_ends_with_the_same_weights_and_log(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    steps = [run(tmp_path, should_stop=lambda: True).progress.step for _ in range(4)]
    assert steps == [20, 40, 60, 70]
    trained = run(tmp_path)  # which is complete already
    assert_same_weights(trained, undisturbed.trained)
    assert_same_log(tmp_path, undisturbed.folder)


def test_run_killed_anywhere_ends_with_the_same_weights_and_log(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """Before the first state, after a state, and with a half-written state and log line lying about."""

    def after(step: int) -> Observer:
        return Observer(stepped=lambda row: kill() if row.step == step else None)

    with pytest.raises(Killed):
        run(tmp_path, observer=after(20))
    assert not (tmp_path / "state.safetensors").exists()
    with pytest.raises(Killed):
        run(tmp_path, observer=Observer(validated=lambda _step, _results: kill()))
    assert [row["step"] for row in rows(tmp_path)] == ["20", "40"]
    with pytest.raises(Killed):
        run(tmp_path, observer=after(60))
    (tmp_path / "state.safetensors.partial").write_bytes(b"half of a state")
    with (tmp_path / "loss.csv").open("a") as file:
        file.write("80,1")
    assert_same_weights(run(tmp_path), undisturbed.trained)
    assert_same_log(tmp_path, undisturbed.folder)


def test_run_goes_on_from_given_weights(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """With a rate of almost nothing it ends where it started; its state resumes without the given weights."""
    trained = undisturbed.trained
    config = replace(CONFIG, muon_rate=1e-9, adamw_rate=1e-9, tokens=4 * 64 * 40, init_weights="a1")
    stopped = pretrain.pretrain(
        config, tmp_path, "cpu", False, should_stop=lambda: True, initial=trained.network
    )
    given = trained.network.state_dict()
    for name, weight in stopped.network.state_dict().items():
        torch.testing.assert_close(weight, given[name], atol=1e-5, rtol=0)
    resumed = run(tmp_path, config)
    torch.testing.assert_close(resumed.network.state_dict(), given, atol=1e-5, rtol=0)
    with pytest.raises(ArtifactError, match="init_weights 'a1' there, '' here"):
        run(tmp_path, replace(config, init_weights=""))


def test_given_weights_of_another_shape_are_refused_by_field(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    config = replace(CONFIG, n_layers=3)
    with pytest.raises(SpecError, match=r"another shape \(n_layers 2 there, 3 here\)"):
        pretrain.pretrain(config, tmp_path, "cpu", False, initial=undisturbed.trained.network)


def test_learned_positions_resume_too(tmp_path: Path) -> None:
    config = replace(LEARNED, tokens=4 * 64 * 40, decay_tokens=0)
    whole = run(tmp_path / "whole", config)
    run(tmp_path / "stopped", config, should_stop=lambda: True)
    assert_same_weights(run(tmp_path / "stopped", config), whole)


def test_run_made_longer_before_its_rate_falls_is_the_longer_run(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    short = replace(CONFIG, tokens=4 * 64 * 60, decay_tokens=4 * 64 * 20)
    run(tmp_path, short, should_stop=lambda: True)
    assert_same_weights(run(tmp_path), undisturbed.trained)


def test_observer_hears_what_is_logged(tmp_path: Path) -> None:
    started: list[tuple[PretrainConfig, Progress]] = []
    stepped: list[LossRow] = []
    validated: list[tuple[int, list[OpResult]]] = []
    observer = Observer(
        started=lambda config, progress: started.append((config, progress)),
        stepped=stepped.append,
        validated=lambda step, results: validated.append((step, results)),
    )
    config = replace(CONFIG, tokens=4 * 64 * 25, decay_tokens=0)
    trained = run(tmp_path, config, observer)
    assert started == [(config, Progress())]
    assert [row.step for row in stepped] == [20, 25]
    assert stepped[-1].tokens == trained.progress.tokens
    assert 0 < stepped[0].seconds < stepped[1].seconds
    assert [(step, [result.op for result in results]) for step, results in validated] == [(25, [1, 2])]


def test_folder_of_another_run_is_refused_and_kept(undisturbed: Undisturbed) -> None:
    before = {path.name: path.read_bytes() for path in undisturbed.folder.iterdir()}
    with pytest.raises(ArtifactError, match=r"another run \(seed 3 there, 4 here\)"):
        run(undisturbed.folder, replace(CONFIG, seed=4))
    assert {path.name: path.read_bytes() for path in undisturbed.folder.iterdir()} == before


def test_damaged_state_is_refused_by_name(undisturbed: Undisturbed, tmp_path: Path) -> None:
    state = (undisturbed.folder / "state.safetensors").read_bytes()
    (tmp_path / "state.safetensors").write_bytes(state[:-1])
    with pytest.raises(ArtifactError, match=r"cannot read the training state .*state\.safetensors"):
        run(tmp_path)


def test_corpus_too_small_to_validate_on_is_refused_before_training(tmp_path: Path) -> None:
    small = replace(
        CONFIG, corpus=corpus_named("igsm", CONFIG.corpus.settings.model_dump() | {"distractors_max": 0})
    )
    with pytest.raises(SpecError, match=r"no problem of op 1 .* 'validation'"):
        run(tmp_path, small, Observer(started=lambda _config, _progress: kill()))


def test_rows_that_do_not_divide_among_processes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_others(*_: object) -> None: ...

    monkeypatch.setattr(torch.distributed, "init_process_group", no_others)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", no_others)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(SpecError, match="rows is 4; it must be a multiple of the 3 processes"):
        run(tmp_path)
