"""/v1/compare over real HTTP: the whole way from a spec to its report, and all that may get in between."""

import shutil
import subprocess
import threading
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from models.corpora.corpus import judge
from models.corpora.drawing import draw_set
from models.corpora.registry import corpus_named
from tests.app.api.comparing import (
    ARMS,
    SPLIT,
    outcomes,
    progress,
    spec,
    submit,
    wait_for_outcomes,
    wait_until_over,
    without_times,
)
from tests.app.api.server import Server
from tests.app.api.test_bad_requests import error_of

LONG = 4000
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "compare.md"


def test_from_a_spec_to_its_report(corpus: httpx2.Client) -> None:
    id = submit(corpus, spec(12, name="first"))
    seen = list(progress(corpus, id))
    assert [each["done"] for each in seen] == sorted(each["done"] for each in seen)
    last = seen[-1]
    assert (last["status"], last["done"], last["total"]) == ("done", 24, 24)
    assert (last["samples_done"], last["samples_total"]) == (2, 2)
    assert (last["name"], last["arms"], last["problems"]) == ("first", ["greedy", "warm"], 12)
    assert last["created"] <= last["started"] <= last["finished"]
    assert corpus.get(f"/v1/compare/{id}").json() == last

    found = outcomes(corpus, id)
    assert Counter((each["problem"], each["arm"]) for each in found) == Counter(
        (f"{op}/{index}", arm["name"]) for op in (1, 2, 3) for index in range(4) for arm in ARMS
    )
    for each in found:
        op, index = map(int, each["problem"].split("/"))
        problem = draw_set(corpus_named(), SPLIT, op, index + 1, seed=0)[index]
        verdict = judge(corpus_named(), problem.prompt, each["text"])
        assert each["expected"] == str(problem.answer)
        assert (each["solved"], each["correct"]) == (verdict.correct, verdict.answer_correct)

    report = corpus.get(f"/v1/compare/{id}/report.json").json()
    assert report["finished"]
    for arm in report["arms"]:
        mine = [each for each in found if each["arm"] == arm["name"]]
        assert arm["problems"] == len(mine) == 12
        assert arm["accuracy"]["value"] == sum(each["solved"] for each in mine) / 12
    page = corpus.get(f"/v1/compare/{id}/report.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "greedy" in page.text
    assert "warm" in page.text


def test_an_outcome_is_what_a_completion_with_its_seed_is(corpus: httpx2.Client) -> None:
    id = submit(corpus, spec(6))
    wait_until_over(corpus, id)
    drawn = corpus.get("/v1/problems", params={"op": 2, "split": SPLIT, "count": 2}).json()["data"]
    prompts = {item["id"]: item["prompt"] for item in drawn}
    for each in outcomes(corpus, id):
        if each["problem"] in prompts and each["arm"] == "warm":
            arm = {name: value for name, value in ARMS[1].items() if name != "name"}
            body = {"prompt": prompts[each["problem"]], "seed": each["seed"], "max_tokens": 24}
            answer = corpus.post("/v1/completions", json=body | arm).json()
            assert answer["choices"][0]["text"] == each["text"]
            break
    else:
        raise AssertionError("no such outcome")


def test_the_spec_can_be_submitted_again(corpus: httpx2.Client) -> None:
    first = submit(corpus, spec(6))
    wait_until_over(corpus, first)
    again = submit(corpus, corpus.get(f"/v1/compare/{first}/spec").json())
    wait_until_over(corpus, again)
    assert without_times(outcomes(corpus, first)) == without_times(outcomes(corpus, again))


def test_results_come_in_pages(corpus: httpx2.Client) -> None:
    id = submit(corpus, spec(12))
    wait_until_over(corpus, id)
    whole, pages, after = outcomes(corpus, id), [], 0
    while True:
        answer = corpus.get(f"/v1/compare/{id}/results", params={"after": after, "limit": 7}).json()
        assert answer["status"] == "done"
        if not answer["data"]:
            break
        assert answer["next"] == after + len(answer["data"])
        pages += answer["data"]
        after = answer["next"]
    assert pages == whole
    assert after == 24
    beyond = corpus.get(f"/v1/compare/{id}/results", params={"after": 2**53 - 1, "limit": 10_000})
    assert beyond.json()["data"] == []
    wrong = (
        {"after": -1},
        {"after": "x"},
        {"after": 2**53},
        {"after": 2**80},
        {"limit": 0},
        {"limit": 10_001},
    )
    for query in (*wrong, {"page": 1}):
        bad = corpus.get(f"/v1/compare/{id}/results", params=query)
        assert bad.status_code == 400
        assert error_of(bad)["param"] == next(iter(query))


def test_given_prompts_without_answers_are_compared_by_their_texts(http: httpx2.Client) -> None:
    problems = {
        "source": "given",
        "items": [{"prompt": "Kites are 7. How many kites?\n"}, {"prompt": "Boats"}],
    }
    id = submit(http, {"arms": ARMS, "problems": problems, "signals": ["entropy"], "max_tokens": 8})
    assert wait_until_over(http, id)["status"] == "done"
    found = outcomes(http, id)
    assert {each["problem"] for each in found} == {"0", "1"}
    for each in found:
        assert each["correct"] is None
        assert "".join(token["text"] for token in each["tokens"]) == each["text"]
        assert all(token["signals"]["entropy"] >= 0 for token in each["tokens"])
    report = http.get(f"/v1/compare/{id}/report.json").json()
    assert report["measure"] is None
    assert http.delete(f"/v1/compare/{id}").status_code == 200


def test_live_requests_are_answered_while_a_comparison_runs(
    corpus_server: Server, corpus: httpx2.Client
) -> None:
    with OpenAI(base_url=f"{corpus_server.url}/v1", api_key="none", max_retries=0) as client:

        def ask() -> str:
            prompt = "Kites are 7. How many kites?\n"
            return (
                client.completions.create(model="tiny", prompt=prompt, seed=3, max_tokens=40).choices[0].text
            )

        before = ask()
        id = submit(corpus, spec(LONG))
        wait_for_outcomes(corpus, id, 1)
        assert [ask() for _ in range(5)] == [before] * 5
        status = corpus.get(f"/v1/compare/{id}").json()
        assert status["status"] == "running"
        assert status["eta_s"] is None or status["eta_s"] > 0


def test_a_report_of_what_there_is_so_far(corpus: httpx2.Client) -> None:
    id = submit(corpus, spec(LONG))
    wait_for_outcomes(corpus, id, 30)
    report = corpus.get(f"/v1/compare/{id}/report.json").json()
    assert not report["finished"]
    assert report["problems"] == LONG
    assert 0 < report["arms"][0]["problems"] < LONG
    assert report["warnings"]
    assert "greedy" in corpus.get(f"/v1/compare/{id}/report.html").text


def test_old_names_in_a_spec_are_understood_and_named(corpus: httpx2.Client) -> None:
    old = {"kind": "eager", "sequences": 2, "threshold": 1.0}
    arms = [{"name": "old", "strategy": old}, {"name": "greedy", "strategy": {"kind": "greedy"}}]
    said = corpus.post("/v1/compare", json=spec(3, arms=arms)).json()
    [warning] = said["warnings"]
    assert warning.startswith("arm 'old': sequences of eager is called samples now")
    assert "warnings" not in corpus.get(f"/v1/compare/{said['id']}").json()
    wait_until_over(corpus, said["id"])


def test_cancel_resume_and_delete(corpus: httpx2.Client) -> None:
    id = submit(corpus, spec(LONG))
    wait_for_outcomes(corpus, id, 20)
    refused = corpus.delete(f"/v1/compare/{id}")
    assert refused.status_code == 409
    assert "cancel it first" in error_of(refused)["message"]
    refused = corpus.post(f"/v1/compare/{id}/resume")
    assert refused.status_code == 409
    assert "is running" in error_of(refused)["message"]

    assert corpus.post(f"/v1/compare/{id}/cancel").status_code == 200
    status = wait_until_over(corpus, id)
    assert status["status"] == "cancelled"
    kept = outcomes(corpus, id)
    assert 20 <= len(kept) == status["done"] < LONG
    assert corpus.post(f"/v1/compare/{id}/cancel").json() == status
    counted = corpus.get(f"/v1/compare/{id}/report.json").json()["arms"]
    assert sum(arm["problems"] for arm in counted) == len(kept)

    assert corpus.post(f"/v1/compare/{id}/resume").status_code == 202
    wait_for_outcomes(corpus, id, len(kept) + 10)
    assert outcomes(corpus, id)[: len(kept)] == kept
    corpus.post(f"/v1/compare/{id}/cancel")
    wait_until_over(corpus, id)
    assert corpus.delete(f"/v1/compare/{id}").json() == {"id": id, "object": "comparison", "deleted": True}
    assert corpus.get(f"/v1/compare/{id}").status_code == 404
    assert corpus.get("/v1/compare").json()["data"] == []


def test_one_runs_and_others_wait_in_their_order(corpus: httpx2.Client) -> None:
    running = submit(corpus, spec(LONG))
    dropped, cancelled, last = submit(corpus, spec(6)), submit(corpus, spec(6)), submit(corpus, spec(6))
    wait_for_outcomes(corpus, running, 1)
    scraped = corpus.get("/metrics").text
    assert 'demur_comparisons{status="running"} 1.0' in scraped
    assert 'demur_comparisons{status="queued"} 3.0' in scraped
    listed = corpus.get("/v1/compare").json()["data"]
    assert [each["id"] for each in listed] == [last, cancelled, dropped, running]
    assert [each["status"] for each in listed] == ["queued", "queued", "queued", "running"]
    assert corpus.post(f"/v1/compare/{cancelled}/cancel").json()["status"] == "cancelled"
    assert corpus.delete(f"/v1/compare/{dropped}").status_code == 200
    corpus.post(f"/v1/compare/{running}/cancel")
    assert wait_until_over(corpus, last)["status"] == "done"
    assert corpus.get(f"/v1/compare/{cancelled}").json()["done"] == 0


def test_many_at_once_who_cancel_and_delete(corpus: httpx2.Client) -> None:
    id = submit(corpus, spec(LONG))
    wait_for_outcomes(corpus, id, 1)
    answers: list[int] = []

    def meddle(method: str, path: str) -> None:
        answers.append(corpus.request(method, path).status_code)

    routes = [("POST", f"/v1/compare/{id}/cancel"), ("DELETE", f"/v1/compare/{id}")] * 8
    routes += [("GET", f"/v1/compare/{id}/{what}") for what in ("results", "report.json", "report.html")] * 4
    threads = [threading.Thread(target=meddle, args=route) for route in routes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {200, 404, 409}


def test_a_comparison_is_a_folder_below_that_of_the_server(corpus: httpx2.Client, comparisons: Path) -> None:
    id = submit(corpus, spec(6))
    wait_until_over(corpus, id)
    folder = comparisons / id
    assert {path.name for path in folder.iterdir()} >= {
        "spec.json",
        "about.json",
        "problems.jsonl",
        "outcomes.jsonl",
        "latency.jsonl",
        "report.json",
        "report.html",
    }
    assert len((folder / "outcomes.jsonl").read_text().splitlines()) == 12
    corpus.delete(f"/v1/compare/{id}")
    assert [path.name for path in comparisons.iterdir()] == [".lock"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_documentation_work(
    corpus: httpx2.Client, corpus_server: Server, tmp_path: Path
) -> None:
    section = DOCUMENTATION.read_text().split("## Over HTTP")[1]
    commands = section.split("```sh\n")[1].split("```")[0]
    script = "set -e\n" + commands.replace("http://localhost:8000", corpus_server.url).replace(
        "localhost:8000", corpus_server.url
    )
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("data: [DONE]")
    (status,) = corpus.get("/v1/compare").json()["data"]
    assert (status["status"], status["done"]) == ("done", 120)
    page = corpus.get(f"/v1/compare/{status['id']}/report.html")
    assert (tmp_path / "report.html").read_bytes() == page.content
