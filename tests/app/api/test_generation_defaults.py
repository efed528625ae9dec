"""What a `generation_config.json` recommends is checked like what a request says."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.api.generation_defaults import with_recommended
from app.api.schemas.requests import CompletionRequest
from app.api.serving import Serving
from app.errors import RequestError
from app.main import start_engine
from app.settings import Settings


@pytest.fixture(scope="module")
def serving(checkpoint_folder: Path) -> Generator[Serving]:
    made = start_engine(Settings(checkpoint=checkpoint_folder, no_probes=True))
    yield made
    made.engine.stop()


def asked(serving: Serving, stored: dict[str, Any], **given: Any) -> CompletionRequest:
    body = CompletionRequest.model_validate({"prompt": "a", "use_generation_config": True, **given})
    return with_recommended(body, replace(serving, checkpoint=replace(serving.checkpoint, generation=stored)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "0.7"),
        ("temperature", -1),
        ("temperature", True),
        ("temperature", [0.7]),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", 1e300),
        ("top_k", 7.5),
        ("top_k", "7"),
        ("top_k", 10**30),
        ("top_p", -0.5),
        ("top_p", 1.5),
        ("top_p", {}),
        ("min_p", -0.1),
        ("repetition_penalty", 0),
        ("repetition_penalty", False),
    ],
)
def test_what_no_request_could_say_is_refused(serving: Serving, name: str, value: Any) -> None:
    with pytest.raises(RequestError, match=rf"generation_config\.json recommends .*{name}") as told:
        asked(serving, {name: value})
    assert told.value.param == "use_generation_config"
    over = {"temperature": 0.5, "top_k": 3, "top_p": 0.5, "min_p": 0.1, "repetition_penalty": 1.1}[name]
    assert getattr(asked(serving, {name: value}, **{name: over}), name) == over, "the request's own wins"


def test_what_says_nothing_changes_nothing(serving: Serving) -> None:
    plain = CompletionRequest.model_validate({"prompt": "a"}).sampling
    for stored in ({}, {"temperature": None, "top_k": None}, {"do_sample": "yes", "beams": []}):
        assert asked(serving, stored).sampling == plain
    assert asked(serving, {"temperature": 1, "top_k": 0, "top_p": 1}).sampling == plain


def test_whole_numbers_are_numbers(serving: Serving) -> None:
    sampling = asked(serving, {"temperature": 2, "top_k": 5, "top_p": 0.5}).sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (2.0, 5, 0.5)
