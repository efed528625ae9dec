"""The way of a token stands in CONTRIBUTING.md as it is."""

import re
import threading
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from types import CodeType, FrameType

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.app.api.checkpoints import write_random_checkpoint

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"^\d+\. `(\S+\.py:\S+)`", re.MULTILINE)


OURS = tuple(str(ROOT / name) for name in ("app", "models"))


class Calls:
    """How often each function of this project began or went on, in threads that were started meanwhile."""

    def __init__(self) -> None:
        self.codes: Counter[CodeType] = Counter()
        self.counting = False

    def note(self, frame: FrameType, event: str, _argument: object) -> None:
        """For `threading.setprofile`."""
        if self.counting and event == "call":
            self.codes[frame.f_code] += 1

    def named(self) -> Counter[str]:
        """The same by file and name."""
        named: Counter[str] = Counter()
        for code, count in self.codes.items():
            if code.co_filename.startswith(OURS):
                named[f"{Path(code.co_filename).relative_to(ROOT)}:{code.co_qualname}"] += count
        return named


@pytest.fixture
def calls() -> Generator[Calls]:
    calls = Calls()
    threading.setprofile(calls.note)
    yield calls
    threading.setprofile(None)


def test_every_token_goes_the_way_that_the_document_names(tmp_path: Path, calls: Calls) -> None:
    way = NAMED.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(way) == 10
    write_random_checkpoint(tmp_path / "tiny")
    settings = Settings(checkpoint=tmp_path / "tiny", comparisons=tmp_path / "compare", kernel="torch")
    # A drawn special token has no text and no event of its own; greedily none comes here.
    body = {"prompt": "Boats are 3.", "max_tokens": 12, "ignore_eos": True, "stream": True, "temperature": 0}
    with TestClient(create_app(settings), base_url="http://localhost") as http:
        while http.get("/health/ready").status_code != 200:
            time.sleep(0.1)
        calls.counting = True
        with http.stream("POST", "/v1/completions", json=body) as response:
            assert sum(line.startswith("data: {") for line in response.iter_lines()) >= 12
        calls.counting = False
    counts = calls.named()
    missed = [name for name in way if counts[name] < 11]
    assert not missed, f"not once per token: {missed}"
