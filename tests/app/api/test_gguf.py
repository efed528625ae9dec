"""A server of a GGUF."""

from collections.abc import Generator
from contextlib import contextmanager

import httpx2
import pytest

from tests.app.api.server import running_server
from tests.models.architectures import network_of
from tests.models.gguf.writing import END, TOKENS, needs_llama_cpp, write_gguf

pytestmark = needs_llama_cpp


@contextmanager
def environment(name: str, value: str) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Generator[httpx2.Client]:
    folder = tmp_path_factory.mktemp("served")
    write_gguf(folder / "tiny.gguf", network_of("llama", vocab_size=len(TOKENS), eos_token_id=END))
    with (
        environment("XDG_CACHE_HOME", str(folder)),
        running_server(folder / "tiny.gguf") as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        yield http


def test_the_catalogue_names_kernel_and_quantisation(asking: httpx2.Client) -> None:
    (model,) = asking.get("/v1/models").json()["data"]
    assert (model["id"], model["kernel"], model["quantisation"]) == ("tiny.gguf", "llama.cpp", "F32")
    assert (model["dtype"], model["chat"], model["layers"]) == ("auto", True, 2)
    assert len(set(model["identity"].values())) == 1


def test_it_answers_with_signals_and_strategies(asking: httpx2.Client) -> None:
    body = {
        "prompt": "the",
        "max_tokens": 8,
        "ignore_eos": True,
        "strategy": {"kind": "beam"},
        "signals": ["entropy", "margin"],
    }
    answer = asking.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    assert len(choice["signals"]) == 8
    assert all(each["entropy"] > 0 for each in choice["signals"])


def test_what_prompts_have_in_common_is_computed_once(asking: httpx2.Client) -> None:
    computed: list[int] = []
    for end in ("a", "b"):
        body = {"prompt": "the cat sat on the mat " * 2 + end, "max_tokens": 4, "ignore_eos": True}
        answer = asking.post("/v1/completions", json=body)
        assert answer.status_code == 200, answer.text
        usage = answer.json()["usage"]
        computed.append(usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"])
    assert computed[0] > 16
    assert computed[1] == 1
