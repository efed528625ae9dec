"""GET /v1/findings: what came with this code, whatever is served."""

from pathlib import Path

import httpx2
import pytest

from app.api.errors import ApiError
from app.api.routes import findings
from app.findings.published import FindingList, published_folder, read_published


def test_the_findings_are_those_that_were_published(http: httpx2.Client) -> None:
    answer = http.get("/v1/findings")
    assert answer.status_code == 200
    assert FindingList.model_validate(answer.json()) == read_published(published_folder())


def test_every_finding_says_what_would_refute_it(http: httpx2.Client) -> None:
    for finding in http.get("/v1/findings").json()["data"]:
        assert finding["claim"]
        assert finding["command"].startswith("demur findings run ")
        assert any(criterion["refuted"] for criterion in finding["criteria"])


@pytest.mark.parametrize("content", [None, "{", "[]", '{"object": "list", "data": [{"name": "x"}]}'])
def test_what_did_not_come_whole_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "findings.json").write_text(content)
    with monkeypatch.context() as patch:
        patch.setattr(findings, "published_folder", lambda: tmp_path)
        patch.setattr(findings, "_published", findings._published.__wrapped__)  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(ApiError, match=r"findings\.json") as told:
            findings.findings()
    assert str(tmp_path) not in str(told.value)
