"""A small checkpoint with random weights and the real tokenizer, and servers that serve it."""

from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from tests.app.api.checkpoints import CORPUS, write_random_checkpoint
from tests.app.api.comparing import clear_away
from tests.app.api.server import SLOW_KERNEL, Server, running_server


@pytest.fixture(scope="session", autouse=True)
def no_comparisons_of_others(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Servers that are told nothing else do not go on with what lies in the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMUR_COMPARISONS", str(tmp_path_factory.mktemp("no") / "comparisons"))
        yield


@pytest.fixture(scope="module", autouse=True)
def slow_kernel() -> Generator[None]:
    """For applications in this process, as `running_server` has it for those in another."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SLOW_KERNEL.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `demur serve` serves and `AutoModelForCausalLM` loads."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_random_checkpoint(folder)
    return folder


@pytest.fixture(scope="session")
def corpus_checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `checkpoint_folder`, of a model whose card names the igsm corpus."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_random_checkpoint(folder, CORPUS)
    return folder


@pytest.fixture(scope="session")
def server(checkpoint_folder: Path) -> Generator[Server]:
    """A server with default settings."""
    with running_server(checkpoint_folder) as running:
        yield running


@pytest.fixture(scope="session")
def narrow_server(checkpoint_folder: Path) -> Generator[Server]:
    """A server with a key, one row, room for one waiting request, small bodies and one web origin."""
    flags = ("--max-rows", "1", "--max-waiting", "1", "--max-body-bytes", "2048")
    flags = (*flags, "--api-key", "secret", "--cors-origins", "https://example.org")
    with running_server(checkpoint_folder, flags) as running:
        yield running


@pytest.fixture(scope="session")
def comparisons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of a model with a corpus keeps its comparisons."""
    return tmp_path_factory.mktemp("corpus_server") / "kept" / "comparisons"


@pytest.fixture(scope="session")
def corpus_server(corpus_checkpoint_folder: Path, comparisons: Path) -> Generator[Server]:
    """A server of a model with a corpus."""
    with running_server(corpus_checkpoint_folder, ["--comparisons", str(comparisons)]) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Generator[OpenAI]:
    """The official client, unchanged; it retries nothing, so that a test sees the first answer."""
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def http(server: Server) -> Generator[httpx2.Client]:
    """Plain HTTP to the same server."""
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
def corpus(corpus_server: Server) -> Generator[httpx2.Client]:
    """Plain HTTP to a server of a model with a corpus, which afterwards has nothing left to do."""
    with httpx2.Client(base_url=corpus_server.url, timeout=60) as client:
        yield client
        clear_away(client)
    assert "Traceback" not in corpus_server.log
