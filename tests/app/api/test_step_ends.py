"""Where steps end, as clients say it."""

from typing import Any

import httpx2
import pytest

FOREVER = {"kind": "random_retry", "step_ends": {"pattern": r"(?s)(?:.|.)+[\x01\x02]"}}
LONG = {"prompt": "Boats are 3.", "max_tokens": 100, "ignore_eos": True, "seed": 1}


def complete(http: httpx2.Client, **body: Any) -> httpx2.Response:
    return http.post("/v1/completions", json={**LONG, "max_tokens": 12, **body})


@pytest.mark.parametrize("ends", ["line", "sentence", "blank_line", {"pattern": "[a-m]"}, [".", "\n"]])
@pytest.mark.parametrize("kind", ["random_retry", "entropix"])
def test_every_way_to_say_it_is_taken(http: httpx2.Client, kind: str, ends: Any) -> None:
    thresholds = {"entropy_low": 2.0, "entropy_high": 3.0, "varentropy_low": 2.0, "varentropy_high": 3.0}
    fields: dict[str, Any] = {"kind": kind, "step_ends": ends, **(thresholds if kind == "entropix" else {})}
    answer = complete(http, strategy=fields)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("ends", "param"),
    [
        ("paragraph", "strategy.step_ends"),
        ({"pattern": "("}, "strategy.step_ends.pattern"),
        ({"pattern": "a?"}, "strategy.step_ends.pattern"),
        ({"regex": "a"}, "strategy.step_ends.pattern"),
        ([7], "strategy.step_ends[0]"),
    ],
)
def test_what_says_nothing_is_refused(http: httpx2.Client, ends: Any, param: str) -> None:
    answer = complete(http, strategy={"kind": "random_retry", "step_ends": ends})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_a_hostile_pattern_ends_its_own_request_only(http: httpx2.Client) -> None:
    refused = http.post("/v1/completions", json={**LONG, "strategy": FOREVER})
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["param"] == "strategy.step_ends.pattern"
    assert "takes more than 0.01 s" in refused.json()["error"]["message"]
    streamed = http.post("/v1/completions", json={**LONG, "strategy": FOREVER, "stream": True})
    assert "strategy.step_ends.pattern" in streamed.text
    assert complete(http).status_code == 200
