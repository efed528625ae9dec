"""`demur generate` on a small checkpoint."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.written import GeneratedChoice, colour, coloured
from app.decoding.core.types import Token
from app.engine.types import ChoiceDone
from models.checkpoint import load
from models.complete import complete
from tests.app.api.checkpoints import CORPUS, write_random_checkpoint
from tests.models.families import FAMILIES
from tests.models.tokenizers import corpus_tokenizer

PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"


@pytest.fixture
def run(checkpoint_folder: Path) -> Any:
    def invoke(*arguments: str, stdin: str | bytes | None = None) -> Any:
        options = ["--checkpoint", str(checkpoint_folder), "--max-tokens", "12"]
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["generate", *options, *arguments], input=stdin)

    return invoke


def as_json(result: Any) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_has_every_token_with_its_signals(run: Any) -> None:
    written = as_json(run(PROBLEM, "--seed", "1", "--ignore-eos", "--json", "--top-logprobs", "2"))
    assert written["model"] == "tiny"
    assert written["seed"] == 1
    [choice] = written["choices"]
    assert choice["finish_reason"] == "length"
    assert len(choice["tokens"]) == written["usage"]["completion_tokens"] == 12
    for token in choice["tokens"]:
        assert set(token) == {"token", "token_id", "logprob", "entropy", "varentropy", "top_logprobs"}
        assert len(token["top_logprobs"]) == 2


def test_the_same_seed_writes_the_same_and_stdin_is_a_problem_too(run: Any) -> None:
    first = as_json(run(PROBLEM, "--seed", "1", "--json"))
    assert as_json(run(PROBLEM, "--seed", "1", "--json")) == first
    assert as_json(run("-", "--seed", "1", "--json", stdin=PROBLEM + "\n")) == first
    assert as_json(run(PROBLEM, "--seed", "2", "--json"))["choices"] != first["choices"]


def test_sampler_options_reach_the_engine(run: Any) -> None:
    greedy = as_json(run(PROBLEM, "--strategy", "greedy", "--json"))["choices"]
    for options in (("--temperature", "0"), ("--top-k", "1"), ("--strategy", '{"kind": "greedy"}')):
        assert as_json(run(PROBLEM, *options, "--json"))["choices"] == greedy
    forced = as_json(run(PROBLEM, "--logit-bias", "5=100", "--ignore-eos", "--json"))["choices"][0]["tokens"]
    assert {token["token_id"] for token in forced} == {5}
    several = as_json(run(PROBLEM, "-n", "3", "--json", "--signals", "all"))["choices"]
    assert [choice["index"] for choice in several] == [0, 1, 2]
    assert "margin" in several[0]["tokens"][0]


def test_every_other_sampling_field_has_one_option(run: Any) -> None:
    plain = as_json(run(f"{PROBLEM}\n", "--seed", "1", "--json", "--ignore-eos"))["choices"]
    for setting in ("top_n_sigma=0.5", "p_less=true", "mirostat=2", 'dry_sequence_breakers=["."]'):
        options = ("--sampling", setting, "--sampling", "dry_multiplier=9", "--sampling", "mirostat_tau=1")
        changed = as_json(run(f"{PROBLEM}\n", "--seed", "1", "--json", "--ignore-eos", *options))["choices"]
        assert changed != plain
    ordered = ("--top-p", "0.5", "--temperature", "0.5", "--samplers", "top_p, temperature")
    assert as_json(run(PROBLEM, "--seed", "1", "--json", *ordered))["choices"]


def test_standard_output_has_the_answer_and_nothing_else(run: Any) -> None:
    greedy = (PROBLEM, "--temperature", "0", "--ignore-eos")
    text = as_json(run(*greedy, "--json"))["choices"][0]["text"]
    result = run(*greedy)
    assert (result.exit_code, result.stdout) == (0, f"{text}\n")
    assert "12 tokens, 0 discarded, ended by length, seed " in result.stderr
    assert "entropy" not in result.stderr, "without colours there is no legend of them"
    several = run(*greedy, "-n", "2")
    assert several.stdout == f"{text}\n\n{text}\n"


def test_a_long_answer_is_one_line_in_a_pipe(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    forced = ("--logit-bias", "65=100", "--ignore-eos", "--max-tokens", "40", "--json")
    text = as_json(run(PROBLEM, *forced))["choices"][0]["text"]
    assert len(text) >= 40
    assert run(PROBLEM, *forced[:-1]).stdout == f"{text}\n"


def test_a_terminal_gets_colours_and_their_legend(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    result = run(PROBLEM, "--temperature", "0", "-n", "2", "--ignore-eos")
    assert "\x1b[" in result.stdout
    assert "entropy in nats, on the same scale in every run" in result.stderr
    assert "entropy" not in result.stdout


def test_a_table_is_printed_where_it_is_asked_for(run: Any) -> None:
    result = run(PROBLEM, "--temperature", "0", "--table", "--ignore-eos")
    assert result.exit_code == 0
    assert "varentropy (nats^2)" in result.stdout


def test_bytes_of_the_shell_that_are_no_text_are_replaced(run: Any) -> None:
    result = run("Kites \udcff are 7. How many kites?", "--stop", "\udcff", "--seed", "1")
    assert result.exit_code == 0, result.output
    piped = run("-", "--seed", "1", stdin=b"Kites \xff are 7. How many kites?")
    assert piped.exit_code == 0, piped.output


@pytest.mark.filterwarnings("ignore")
def test_a_model_without_a_corpus_goes_on_from_the_text_itself(tmp_path: Path) -> None:
    """With the special tokens around it that its tokenizer puts there, and without a line break behind it."""
    FAMILIES["llama"].write(tmp_path)
    loaded = load(tmp_path)
    text = "Water boils at a temperature of "
    (expected,) = complete(loaded.model, [loaded.tokenizer.encode_prompt(text)], max_tokens=9)
    assert expected != complete(loaded.model, [loaded.tokenizer.encode_prompt(text + "\n")], max_tokens=9)[0]
    options = ["generate", "--checkpoint", str(tmp_path), "--max-tokens", "9", "--temperature", "0", "--json"]
    piped = text + "\n"  # as echo writes it
    for arguments, stdin in (([text], None), (["-"], piped)):
        written = as_json(CliRunner().invoke(app, [*options, *arguments], input=stdin))
        assert [token["token_id"] for token in written["choices"][0]["tokens"]] == expected


def test_a_model_of_the_corpus_solves_the_problem_before_a_line_break(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path / "tiny", CORPUS)
    loaded = load(tmp_path / "tiny")
    (expected,) = complete(loaded.model, [loaded.tokenizer.encode_prompt(PROBLEM + "\n")], max_tokens=9)
    options = [
        "generate",
        "--checkpoint",
        str(loaded.path),
        "--max-tokens",
        "9",
        "--temperature",
        "0",
        "--json",
    ]
    for arguments, stdin in (([PROBLEM], None), ([PROBLEM + " \n"], None), (["-"], PROBLEM + "\n\n")):
        written = as_json(CliRunner().invoke(app, [*options, *arguments], input=stdin))
        assert [token["token_id"] for token in written["choices"][0]["tokens"]] == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--temperature", "-1"), "temperature is -1.0; it must be between 0"),
        (("--top-p", "2"), "top_p is 2.0; it must be between 0 and 1"),
        (("--sampling", "top_p=0.3"), "NAME=VALUE with one of dynatemp_range"),
        (("--sampling", "tfs=x"), "written as 1.0 is"),
        (("--samplers", "top_q"), "samplers has 'top_q'"),
        (("--signals", "entropi"), "There is no signal 'entropi'"),
        (("--strategy", "best"), "there is no strategy 'best'; there are abstain"),
        (("--strategy", "gredy"), "did you mean greedy? There are abstain"),
        (("--strategy", '{"kind": "gredy"}'), "did you mean greedy?"),
        (("--strategy", '{"kind": "greedy", "foo": 1}'), "unknown field 'strategy.foo'"),
        (("--strategy", '{"kind": "greedy", "foo": NaN}'), "unknown field 'strategy.foo'"),
        (("--strategy", '{"kind": "beam", "width": 0}'), "strategy.width is 0"),
        (("--strategy", '{"kind": "beam", "length_penalty": NaN}'), "strategy.length_penalty is NaN"),
        (("--strategy", '{"kind": "\\udcff"}'), "there is no strategy"),
        (("--strategy", '{"width": 2}'), "names no kind"),
        (("--strategy", '{"kind": 3}'), "names no kind"),
        (("--strategy", "{kind: beam}"), "which is not JSON"),
        (("--device", "cuda:99"), "--device is 'cuda:99'; this machine has cpu"),
        (("--logit-bias", "5"), "write a token id, =, and a number"),
        (("-n", "0"), "n is 0"),
        (("--stop", ""), "empty string"),
    ],
)
def test_a_bad_option_is_one_message(run: Any, options: tuple[str, ...], says: str) -> None:
    result = run(PROBLEM, *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_an_empty_problem_and_a_missing_checkpoint(run: Any, tmp_path: Path) -> None:
    assert "empty" in run("-", stdin="\n").stderr
    result = CliRunner().invoke(app, ["generate", PROBLEM, "--checkpoint", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "there is no checkpoint folder" in " ".join(result.stderr.split())


def test_colours_follow_entropy_and_stop_where_the_text_does() -> None:
    tokenizer = corpus_tokenizer()
    entropies = {"Kites": 0.0, " are": 0.2, " 7": 2.0}
    tokens = tuple(
        Token(tokenizer.phrase_id(phrase), -1.0, {"entropy": entropy})
        for phrase, entropy in entropies.items()
    )
    done = ChoiceDone(0, "stop", "re 7", "", tokens, ())
    text = coloured(GeneratedChoice("Kites a", done), tokenizer)
    assert text.plain == "Kites a"
    assert [(span.start, span.end, span.style) for span in text.spans] == [
        (0, 5, "green"),
        (5, 7, "yellow"),
    ]
    assert colour(2.0) == "bold red"
    assert colour(None) == "dim"
