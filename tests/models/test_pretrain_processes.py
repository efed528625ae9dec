"""Whole processes: killed at random moments, and several that train one network together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import load_file, save_file

from models import pretrain
from models.pretrain import Observer
from models.training.state import read_progress
from tests.models.runs import CONFIG, assert_same_log

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def main(folder: Path, stop_step: int) -> None:
    """What the processes run: says each logged step; process 1, or the only one, stops at a step."""
    pretrain.STATE_SECONDS = 0.0
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    rows_seen = 0

    def should_stop() -> bool:
        nonlocal rows_seen
        rows_seen += 1
        return rank == count - 1 and rows_seen * pretrain.LOG_STEPS == stop_step

    def say(row: pretrain.LossRow) -> None:
        sys.stdout.write(f"{row.step}\n")
        sys.stdout.flush()

    trained = pretrain.pretrain(CONFIG, folder, "cpu", False, Observer(stepped=say), should_stop)
    save_file(trained.network.state_dict(), folder / f"rank{rank}.safetensors")


def start(folder: Path, processes: int = 1, stop_step: int = 0) -> "subprocess.Popen[str]":
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.Popen(
        [
            sys.executable,
            *(launcher if processes > 1 else []),
            "-m",
            "tests.models.test_pretrain_processes",
            str(folder),
            str(stop_step),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> list[int]:
    """The steps that it said, once it has ended well."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return [int(line) for line in output.split()]


@pytest.mark.timeout(900)
def test_run_killed_at_random_moments_ends_with_the_same_weights_and_log(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert finish(start(whole)) == [20, 40, 60, 70]
    random = Random(os.urandom(8))
    for _ in range(4):
        process = start(killed)
        assert process.stdout is not None
        process.stdout.readline()  # it trains
        time.sleep(random.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(start(killed))
    assert read_progress(killed / "state.safetensors")[0].step == 70
    expected, found = (load_file(folder / "rank0.safetensors") for folder in (whole, killed))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert_same_log(killed, whole)


@pytest.mark.timeout(900)
def test_processes_train_one_network_and_stop_together(tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert finish(start(whole, processes=2)) == [20, 40, 60, 70]
    # Only the second process is asked to stop; the first writes the state.
    assert finish(start(stopped, processes=2, stop_step=40)) == [20, 40]
    assert read_progress(stopped / "state.safetensors")[0].step == 40
    assert finish(start(stopped, processes=2)) == [60, 70]
    first, second, resumed = (
        load_file(path / f"rank{rank}.safetensors") for path, rank in ((whole, 0), (whole, 1), (stopped, 0))
    )
    for name, tensor in first.items():
        assert torch.equal(second[name], tensor), name
        assert torch.equal(resumed[name], tensor), name
    assert_same_log(stopped, whole)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
