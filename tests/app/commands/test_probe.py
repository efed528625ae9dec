"""`demur probe label` and `install`, on a small checkpoint and through a server."""

import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.commands.compare_remote import RemoteError
from app.commands.probe_installing import worth_installing
from app.commands.probe_remote import remote_model
from models import checkpoint
from probes.errors import ProbesError
from probes.fitting.labels import LabelledCompletion, read_labels
from probes.judging.results import DomainResult
from probes.store import StoredProbe, load_all
from tests.app.api.server import running_server
from tests.probes.judging.test_verdict import result as judged
from tests.probes.tiny import every_family, store_probes

PROMPTS = [{"prompt": f"Say {number}.", "answer": str(number)} for number in range(12)]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS))
    return path


def label(prompts: Path, run: Path, *options: str) -> Result:
    command = ["probe", "label", "--prompts", str(prompts), "--run", str(run), "--max-tokens", "6"]
    return CliRunner().invoke(app, [*command, *options])


def labelled(prompts: Path, run: Path, *options: str) -> list[LabelledCompletion]:
    outcome = label(prompts, run, *options)
    assert outcome.exit_code == 0, outcome.output
    return read_labels(run / "labels" / "prompts.jsonl")


def test_completions_are_judged_here(checkpoint_folder: Path, prompts: Path, tmp_path: Path) -> None:
    model = ("--checkpoint", str(checkpoint_folder), "--device", "cpu")
    found = labelled(prompts, tmp_path / "run", *model, "--judge", "answer", "--temperature", "1")
    assert {each.part for each in found} == {"fit", "validation", "calibration", "test"}
    assert all(each.checked == () and each.completion_ids and not each.wrong for each in found)
    # Nothing is written again for another judge.
    written = tmp_path / "run" / "completions" / "prompts-t1.jsonl"
    before = written.stat().st_mtime_ns
    other = labelled(prompts, tmp_path / "run", *model, "--judge", "arithmetic", "--temperature", "1")
    assert written.stat().st_mtime_ns == before
    assert [each.completion_ids for each in other] == [each.completion_ids for each in found]
    assert [each.part for each in other] == [each.part for each in found]
    facts = labelled(prompts, tmp_path / "facts", *model, "--judge", "facts", "--samples", "3")
    assert len(facts) == len({each.prompt for each in facts})
    assert all("right_share" in each.tags for each in facts)


@pytest.mark.slow
def test_a_server_writes_what_this_machine_would(
    checkpoint_folder: Path, prompts: Path, tmp_path: Path
) -> None:
    hot = ("--judge", "answer", "--temperature", "1")
    here = labelled(prompts, tmp_path / "here", "--checkpoint", str(checkpoint_folder), *hot)
    with running_server(checkpoint_folder, ("--api-key", "secret")) as server:
        refused = label(prompts, tmp_path / "no", "--url", server.url, "--api-key", "wrong", *hot)
        assert refused.exit_code == 2, refused.output
        there = labelled(prompts, tmp_path / "there", "--url", server.url, "--api-key", "secret", *hot)
    assert [each.completion for each in there] == [each.completion for each in here]
    source = json.loads((tmp_path / "there" / "labels" / "source.json").read_text())
    assert source["weights"] == checkpoint.load(checkpoint_folder).identity.weights


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--prompts needs --judge"),
        (("--judge", "answer", "--answer-marker", "a", "--answer-pattern", "b"), "leave out one"),
        (("--judge", "answer", "--answer-pattern", "("), "no regular expression"),
        (("--judge", "my 'judge"), "No closing quotation"),
        (("--judge", ""), "--judge is empty"),
    ],
)
def test_mistakes_are_messages(
    checkpoint_folder: Path, prompts: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    outcome = label(prompts, tmp_path / "run", "--checkpoint", str(checkpoint_folder), *options)
    assert outcome.exit_code == 2
    assert message in " ".join(outcome.output.split())


def test_answers_that_are_missing_are_found_before_anything_is_written(
    checkpoint_folder: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "a", "answer": "b"}\n{"prompt": "c"}\n')
    model = ("--checkpoint", str(checkpoint_folder))
    outcome = label(prompts, tmp_path / "run", *model, "--judge", "answer")
    assert outcome.exit_code == 1
    assert "has no answer to judge by" in outcome.output.replace("\n", " ")
    assert not (tmp_path / "run" / "completions").exists()


@pytest.mark.parametrize("models", [{}, {"data": [{"id": "a"}]}, []])
def test_a_server_that_is_none_of_demur_is_told(models: object) -> None:
    class Other(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = json.dumps(models).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(RemoteError, match="is it a server of demur"), remote_model(url, None):
            pass
        server.shutdown()


def with_verdict(each: StoredProbe, results: dict[str, DomainResult]) -> StoredProbe:
    domains = {name: result.model_dump(mode="json") for name, result in results.items()}
    card = each.card.model_copy(update={"evidence": {"evaluation": {"domains": domains}}})
    return replace(each, card=card)


def test_only_what_beats_what_is_free_is_installed(
    checkpoint_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = checkpoint.load(checkpoint_folder)
    spec = loaded.model.spec
    probes = every_family([7], [8], [9], spec.d_model, spec.n_layers)[:3]
    store_probes(tmp_path / "probes", probes, loaded, [3, 4, 8, 5, 7, 3, 4, 8, 7])
    first, second, third = load_all(tmp_path / "probes", loaded)
    good = with_verdict(first, {"id": judged((0.2, 0.1))})
    poor = with_verdict(second, {"id": judged((0.2, -0.1))})
    assert worth_installing([good, poor, third], anyway=False) == [good]
    said = capsys.readouterr().err
    assert f"{second.card.name}: it does not beat what is free: AUROC 0.800 against 0.600" in said
    assert f"{third.card.name}: it does not beat what is free: it was not evaluated" in said
    every = worth_installing([good, poor, third], anyway=True)
    assert [each.card.name for each in every] == [first.card.name, second.card.name, third.card.name]
    assert ["installed_anyway" in each.card.evidence for each in every] == [False, True, True]
    with pytest.raises(ProbesError, match="none of 2 probes beats what is free"):
        worth_installing([poor, third], anyway=False)
