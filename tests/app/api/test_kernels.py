"""A server whose network is computed by the native step."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.app.api.server import running_server
from tests.models.native.compiled import needs_native

pytestmark = needs_native


@pytest.fixture(scope="module")
def native(checkpoint_folder: Path) -> Generator[httpx2.Client]:
    with (
        running_server(checkpoint_folder, ("--kernel", "native")) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        yield http


def completion(http: httpx2.Client, **fields: Any) -> dict[str, Any]:
    body = {"prompt": "How many kites?", "max_tokens": 40, "ignore_eos": True} | fields
    answer = http.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_catalogue_names_the_kernel(native: httpx2.Client, server: Any) -> None:
    assert native.get("/v1/models").json()["data"][0]["kernel"] == "native"
    assert httpx2.get(f"{server.url}/v1/models", timeout=60).json()["data"][0]["kernel"] == "torch"


def test_texts_and_signals_are_the_same_in_any_company(native: httpx2.Client) -> None:
    def asked(seed: int) -> Any:
        return completion(native, seed=seed, signals=["entropy", "margin"], logprobs=2)["choices"]

    alone = [asked(seed) for seed in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(asked, range(16))) == alone


def test_both_kernels_say_the_same(native: httpx2.Client, http: httpx2.Client) -> None:
    fields: dict[str, Any] = {"temperature": 0, "max_tokens": 20, "signals": ["entropy"]}
    (by_native,), (by_torch,) = (completion(each, **fields)["choices"] for each in (native, http))
    assert by_native["text"] == by_torch["text"]
    assert [row["entropy"] for row in by_native["signals"]] == pytest.approx(
        [row["entropy"] for row in by_torch["signals"]], abs=1e-4
    )


def test_int8_weights_are_named_and_change_no_text_by_company(checkpoint_folder: Path) -> None:
    flags = ("--kernel", "native", "--dtype", "int8")
    with (
        running_server(checkpoint_folder, flags) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        model = http.get("/v1/models").json()["data"][0]
        assert (model["dtype"], model["kernel"]) == ("int8", "native")

        def asked(seed: int) -> Any:
            return completion(http, seed=seed, signals=["entropy"])["choices"]

        alone = [asked(seed) for seed in range(8)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(asked, range(8))) == alone
