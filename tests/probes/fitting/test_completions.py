"""Completions on disk: written line by line, and gone on with."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from probes.errors import LabelsError
from probes.fitting.completions import Ask, Asking, Prompt, Written, read_prompts, write_all

PROMPTS = [Prompt(prompt=f"{number}.", answer=str(number), group="g") for number in range(4)]
ASKING = Asking(
    weights="w",
    prompts=Asking.prompts_hash(PROMPTS),
    samples=2,
    temperature=0.5,
    max_tokens=8,
    stop=("\n",),
    seed=3,
)


class Echo:
    """Writes what it is asked for and counts it; breaks after so many."""

    def __init__(self, breaks_after: int = 100) -> None:
        self.written = 0
        self._breaks_after = breaks_after

    def __call__(self, asks: Sequence[Ask]) -> Iterator[Written]:
        for ask in asks:
            if self.written == self._breaks_after:
                raise KeyboardInterrupt
            self.written += 1
            text = "" if ask.prompt.prompt == "2." else f"{ask.prompt.prompt} {ask.seed}"
            yield Written(text=text, token_ids=(1, 2), ended=True)


def test_every_prompt_is_answered_with_a_seed_of_its_own(tmp_path: Path) -> None:
    found = write_all(tmp_path / "a.jsonl", PROMPTS, ASKING, Echo())
    assert [each.prompt for each in found] == ["0.", "0.", "1.", "1.", "3.", "3."]  # nothing to label in 2.
    assert len({each.completion for each in found}) == 6
    assert {(each.answer, each.group) for each in found[:2]} == {("0", "g")}
    assert all(each.tags == {"temperature": 0.5} and each.completion_ids == (1, 2) for each in found)


@pytest.mark.parametrize("cut", [0, 5])
def test_a_run_that_was_stopped_goes_on(tmp_path: Path, cut: int) -> None:
    whole = write_all(tmp_path / "whole.jsonl", PROMPTS, ASKING, Echo())
    path = tmp_path / "a.jsonl"
    with pytest.raises(KeyboardInterrupt):
        write_all(path, PROMPTS, ASKING, Echo(breaks_after=5))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])  # a kill leaves half a line
    rest, seen = Echo(), list[int]()
    assert write_all(path, PROMPTS, ASKING, rest, seen.append) == whole
    assert rest.written == (3 if not cut else 4)
    assert sum(seen) == 8
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_completions_that_were_asked_for_otherwise_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_all(path, PROMPTS, ASKING, Echo())
    for changes in ({"seed": 4}, {"stop": ()}, {"weights": "v"}):
        with pytest.raises(LabelsError, match=f"asked for with another {next(iter(changes))}"):
            write_all(path, PROMPTS, ASKING.model_copy(update=changes), Echo())
    path.write_text("{}\n")
    with pytest.raises(LabelsError, match="is damaged"):
        write_all(path, PROMPTS, ASKING, Echo())


def test_a_line_of_prompts_ends_where_jsons_does(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes('{"prompt": "one\u2028two\u0085three"}\r\n{"prompt": "four"}\n'.encode())
    assert [each.prompt for each in read_prompts(path)] == ["one\u2028two\u0085three", "four"]


def test_a_kill_while_a_file_is_begun_leaves_one_that_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", killed)  # what was written may not be on disk yet
        with pytest.raises(KeyboardInterrupt):
            write_all(path, PROMPTS, ASKING, Echo())
    assert len(write_all(path, PROMPTS, ASKING, Echo())) == 6
