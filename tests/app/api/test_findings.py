"""GET /v1/findings: what came with this code, whatever is served."""

import httpx2

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
