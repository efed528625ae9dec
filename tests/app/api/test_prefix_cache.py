"""What a prompt has in common with an earlier one, over HTTP: told in usage and metrics, kept from others."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.api.keys import KeyLimits, KeyList, change_keys, new_key
from tests.app.api.server import server_here

PROMPT = list(range(20, 60))


def cached(http: httpx2.Client, key: str = "", **fields: Any) -> int:
    """How many tokens of the prompt were taken from the cache."""
    body: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 2, "seed": 1, "ignore_eos": True, **fields}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    answer = http.post("/v1/completions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    assert usage["prompt_tokens"] == len(body["prompt"])
    return usage["prompt_tokens_details"]["cached_tokens"]


def test_usage_and_metrics_count_what_was_cached(checkpoint_folder: Path) -> None:
    with server_here(checkpoint_folder) as here, httpx2.Client(base_url=here.url, timeout=60) as http:
        assert [cached(http), cached(http), cached(http, prompt=[*PROMPT, 7])] == [0, 39, 40]
        values = {
            sample.name: sample.value
            for family in text_string_to_metric_families(http.get("/metrics").text)
            for sample in family.samples
        }
    assert values["demur_prefix_cache_queries_total"] == values["demur_prompt_tokens_total"] == 40 + 40 + 41
    assert values["demur_prefix_cache_hits_total"] == values["demur_cached_prompt_tokens_total"] == 39 + 40


def test_keys_and_salts_share_nothing(checkpoint_folder: Path, tmp_path: Path) -> None:
    secrets = dict(new_key(name, KeyLimits()) for name in ("alice", "bob"))
    change_keys(tmp_path / "keys.json", lambda _: KeyList(keys=tuple(secrets.values())))
    alice, bob = secrets
    with (
        server_here(checkpoint_folder, api_keys=tmp_path / "keys.json") as here,
        httpx2.Client(base_url=here.url, timeout=60) as http,
    ):
        assert [cached(http, alice), cached(http, bob), cached(http, alice)] == [0, 0, 39]
        assert [cached(http, bob, cache_salt=salt) for salt in ("x", "y", "x")] == [0, 0, 39]


def test_a_prompt_that_is_read_to_be_told_of_is_read_whole(checkpoint_folder: Path) -> None:
    """Log-probabilities of a prompt need states that the cache has not."""
    fields = {"prompt": PROMPT, "max_tokens": 1, "seed": 1, "echo": True, "logprobs": 0}
    with server_here(checkpoint_folder) as here, httpx2.Client(base_url=here.url, timeout=60) as http:
        answers = [http.post("/v1/completions", json=fields).json() for _ in range(2)]
        scores = [http.post("/v1/score", json={"input": PROMPT}).json()["data"] for _ in range(2)]
    (first, second), (one, two) = (
        [answer["choices"][0]["logprobs"]["token_logprobs"] for answer in answers],
        [[token["logprob"] for token in data[0]["tokens"]] for data in scores],
    )
    assert len(first) == len(PROMPT) + 1
    assert first[1:] == pytest.approx(second[1:], abs=1e-3)
    assert one[1:] == pytest.approx(two[1:], abs=1e-3)
    assert one[1:] == pytest.approx(first[1:-1], abs=1e-3)


def test_it_can_be_turned_off(checkpoint_folder: Path) -> None:
    with (
        server_here(checkpoint_folder, prefix_cache_bytes=0) as here,
        httpx2.Client(base_url=here.url, timeout=60) as http,
    ):
        assert [cached(http), cached(http)] == [0, 0]


@pytest.mark.parametrize("salt", ["", 3, "x" * 257])
def test_a_salt_is_a_short_text(checkpoint_folder: Path, salt: Any) -> None:
    with server_here(checkpoint_folder) as here:
        answer = httpx2.post(f"{here.url}/v1/completions", json={"prompt": "x", "cache_salt": salt})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "cache_salt"
