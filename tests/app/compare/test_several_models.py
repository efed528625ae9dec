"""Comparisons whose arms run on models of their own."""

import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.compare.cautions import cautions
from app.compare.outcome import Outcome
from app.compare.runner import Comparison
from app.compare.served_model import LentModels, ServedModel
from app.compare.server.findings import write_report
from app.compare.spec import ComparisonSpec
from app.errors import ComparisonFolderError, RequestError
from models.checkpoint import LoadedCheckpoint, load
from models.corpora.registry import card_of, corpus_named
from tests.app.api.checkpoints import write_random_checkpoint
from tests.app.compare.running import GREEDY, ORACLE, WARM, engine_for, given, lasting, make_spec
from tests.models.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore")

OTHER = {**GREEDY, "name": "other", "model": "llama"}
OTHER_WARM = {**WARM, "name": "other-warm", "model": "llama"}
ITEMS = [{"prompt": f"Boats are {number}. How many boats?", "answer": str(number)} for number in range(4)]
CHAT = {"form": "chat", "system": "Be short."}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> LoadedCheckpoint:
    """Another make, with a tokenizer and a chat template of its own."""
    folder = tmp_path_factory.mktemp("foreign") / "llama"
    folder.mkdir()
    FAMILIES["llama"].write(folder)
    return load(folder)


@contextmanager
def lending(**checkpoints: LoadedCheckpoint) -> Generator[LentModels]:
    """Models by name; `default` is the default."""
    with ExitStack() as engines:
        yield LentModels(
            {
                None if name == "default" else name: ServedModel(
                    engines.enter_context(engine_for(checkpoint)), checkpoint
                )
                for name, checkpoint in checkpoints.items()
            }
        )


def run(models: LentModels, spec: ComparisonSpec, path: Path) -> list[Outcome]:
    comparison = Comparison(models, spec)
    with comparison.folder(path) as folder:
        assert comparison.run(folder)
        write_report(folder)
        return list(folder.outcomes)


@pytest.mark.parametrize("form", ["text", "chat"])
def test_an_arm_gets_of_its_model_what_it_gets_there_alone(
    form: str, checkpoint: LoadedCheckpoint, llama: LoadedCheckpoint, tmp_path: Path
) -> None:
    problems = given(ITEMS, examples=1, **({"template": CHAT} if form == "chat" else {}))
    spec = make_spec(GREEDY, OTHER, WARM, OTHER_WARM, **problems, latency_problems=1)
    with lending(default=checkpoint, llama=llama) as models:
        together = lasting(run(models, spec, tmp_path / "together"))
    with lending(default=checkpoint) as models:
        ours = lasting(run(models, make_spec(GREEDY, WARM, **problems), tmp_path / "ours"))
    with lending(default=llama) as models:
        arms = [{key: value for key, value in arm.items() if key != "model"} for arm in (OTHER, OTHER_WARM)]
        theirs = lasting(run(models, make_spec(*arms, **problems), tmp_path / "theirs"))
    assert together == ours | theirs
    assert {key[1] for key in together} == {"greedy", "warm", "other", "other-warm"}


def test_what_a_run_goes_on_with_is_the_same_of_every_model(
    checkpoint: LoadedCheckpoint, llama: LoadedCheckpoint, tmp_path: Path
) -> None:
    spec = make_spec(GREEDY, OTHER, **given(ITEMS))
    with lending(default=checkpoint, llama=llama) as models:
        whole = lasting(run(models, spec, tmp_path / "run"))
        about = json.loads((tmp_path / "run" / "about.json").read_text())
        assert about["checkpoint"]["weights"] == checkpoint.identity.weights
        assert about["models"]["llama"]["checkpoint"]["weights"] == llama.identity.weights
        outcomes = tmp_path / "run" / "outcomes.jsonl"
        outcomes.write_bytes(b"".join(outcomes.read_bytes().splitlines(keepends=True)[:3]))
        assert lasting(run(models, spec, tmp_path / "run")) == whole
    page = (tmp_path / "run" / "report.html").read_text()
    assert llama.identity.weights in page
    with (
        lending(default=checkpoint, llama=checkpoint) as models,
        pytest.raises(ComparisonFolderError, match=r"models\.llama\.checkpoint\.\w+ is"),
    ):
        run(models, spec, tmp_path / "run")


def test_a_folder_from_before_arms_named_models_is_gone_on_with(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    spec = make_spec(GREEDY)
    with lending(default=checkpoint) as models:
        whole = lasting(run(models, spec, tmp_path))
        about, kept = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("about", "spec"))
        del about["models"]
        for arm in kept["arms"]:
            del arm["model"]
        (tmp_path / "about.json").write_text(json.dumps(about))
        (tmp_path / "spec.json").write_text(json.dumps(kept))
        assert lasting(run(models, spec, tmp_path)) == whole


@pytest.mark.parametrize(
    ("arm", "param", "said"),
    [
        ({"strategy": {"kind": "probe_beam"}}, "arms[1].strategy", "arm 'other'.*probe:"),
        ({"strategy": {"kind": "eager"}}, "arms[1].strategy", "arm 'other'"),
        ({"stop_token_ids": [400]}, "arms[1].stop_token_ids", "arm 'other'.*token id 400"),
        ({"template": {"form": "text", "question": "{no}"}}, "arms[1].template.question", "no"),
    ],
)
def test_what_the_model_of_an_arm_would_refuse_is_refused_before_the_run(
    arm: dict[str, Any], param: str, said: str, checkpoint: LoadedCheckpoint, llama: LoadedCheckpoint
) -> None:
    spec = make_spec(GREEDY, {**OTHER, **arm}, **given(ITEMS))
    with lending(default=checkpoint, llama=llama) as models, pytest.raises(RequestError, match=said) as told:
        Comparison(models, spec)
    assert told.value.param == param


def test_signals_and_prompts_are_those_that_every_model_takes(
    checkpoint: LoadedCheckpoint, llama: LoadedCheckpoint, tmp_path: Path
) -> None:
    with (
        lending(default=checkpoint, llama=llama) as models,
        pytest.raises(RequestError, match="no signal 'probe:x'"),
    ):
        Comparison(models, make_spec(OTHER, **given(ITEMS), signals=["probe:x"]))
    FAMILIES["llama"].write(tmp_path)
    (tmp_path / "chat_template.jinja").unlink(missing_ok=True)
    (tmp_path / "tokenizer_config.json").unlink(missing_ok=True)
    plain = load(tmp_path)
    with (
        lending(default=checkpoint, llama=plain) as models,
        pytest.raises(RequestError, match="no chat template"),
    ):
        Comparison(models, make_spec(GREEDY, OTHER, **given(ITEMS, template=CHAT)))


def test_problems_of_the_corpus_are_those_of_the_default_or_of_the_first_that_has_one(
    checkpoint: LoadedCheckpoint, llama: LoadedCheckpoint, tmp_path: Path
) -> None:
    with lending(default=checkpoint, llama=llama) as models:
        first = lasting(run(models, make_spec(OTHER, GREEDY, ORACLE), tmp_path / "default"))
    ours = {**GREEDY, "model": "ours"}
    with lending(default=llama, ours=checkpoint) as models:
        second = lasting(run(models, make_spec({**OTHER, "model": None}, ours), tmp_path / "named"))
    assert second == {key: value for key, value in first.items() if key[1] != "oracle"}
    with lending(default=llama) as models, pytest.raises(RequestError, match=r"problems\.source is 'corpus'"):
        Comparison(models, make_spec(GREEDY))


def test_an_arm_is_told_the_truth_of_its_own_corpus_only(
    checkpoint: LoadedCheckpoint, tmp_path: Path
) -> None:
    write_random_checkpoint(tmp_path, {"corpus": card_of(corpus_named("sums"))})
    spec = make_spec(GREEDY, {**ORACLE, "model": "sums"})
    with (
        lending(default=checkpoint, sums=load(tmp_path)) as models,
        pytest.raises(RequestError, match=r"arm 'oracle': .*sums, and the problems are of igsm") as told,
    ):
        Comparison(models, spec)
    assert told.value.param == "arms[1].strategy"


def test_a_report_says_that_tokens_of_different_models_are_different_things(
    checkpoint: LoadedCheckpoint, llama: LoadedCheckpoint, tmp_path: Path
) -> None:
    spec = make_spec(GREEDY, OTHER, **given(ITEMS))
    with lending(default=checkpoint, llama=llama) as models:
        comparison = Comparison(models, spec)
        with comparison.folder(tmp_path) as folder:
            assert comparison.run(folder)
            report = write_report(folder)
    assert any("llama" in line and "token" in line for line in cautions(report))
