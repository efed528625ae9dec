"""Hidden states in files: what they hold, and going on after a stop."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.language_model import LanguageModel
from probes.fitting.labels import LabelledCompletion, WrongSpan
from probes.fitting.readings import Table, read
from probes.fitting.state_store import LARGEST, StateStore
from probes.position import standard_positions
from tests.probes.stories import story_model

MODEL, TOKENIZER = story_model()
POSITIONS = list(standard_positions(TOKENIZER, (".",), (), TOKENIZER.end_token_id).values())
LABELS = [
    LabelledCompletion(
        prompt=f"Say {number}.",
        completion="Boats are 3. Kites are 2. Oars are 4.",
        wrong=(WrongSpan(start=13, end=25),) if number % 2 else (),
    )
    for number in range(20)
]


def _kept(keep: bool, _: LabelledCompletion) -> bool:
    return keep


class Counting:
    """A model that counts what it reads, and breaks after so many texts."""

    def __init__(self, breaks_after: int = 1000) -> None:
        self.spec = MODEL.spec
        self.read = 0
        self._breaks_after = breaks_after

    def score(self, *given: Any) -> Any:
        if self.read == self._breaks_after:
            raise KeyboardInterrupt
        self.read += 1
        return MODEL.score(*given)


class WithBeginning:
    """The tokenizer, but that a token stands before every prompt."""

    def __getattr__(self, name: str) -> Any:
        return getattr(TOKENIZER, name)

    def encode_prompt(self, text: str) -> list[int]:
        return [7, *TOKENIZER.encode_prompt(text)]


def tables(
    model: Any, store: StateStore | None, layers: tuple[int, ...] = (0, 1, 2), **rest: Any
) -> dict[str, Table]:
    reader: LanguageModel[Any] = model
    return read(
        reader, TOKENIZER, LABELS, rest.pop("positions", POSITIONS), layers, workers=1, store=store, **rest
    )


def assert_same(found: Table, expected: Table) -> None:
    for name, value in vars(expected).items():
        if name in ("hidden", "pooled"):
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-3, atol=1e-4)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(found, name), value)


def test_files_hold_what_memory_would_in_half_precision(tmp_path: Path) -> None:
    found, expected = tables(MODEL, StateStore(tmp_path, "w")), tables(MODEL, None)
    for name, table in expected.items():
        assert found[name].hidden.dtype == np.float16
        assert isinstance(found[name].hidden, np.memmap)
        assert_same(found[name], table)


def test_a_reading_that_was_stopped_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tables(Counting(breaks_after=13), StateStore(tmp_path, "w"))
    rest, seen = Counting(), list[int]()
    found = tables(rest, StateStore(tmp_path, "w"), on_progress=seen.append)
    assert rest.read == 20 - 8  # noted every eight
    assert sum(seen) == 20
    for name, table in tables(MODEL, None).items():
        assert_same(found[name], table)


def test_what_is_there_is_not_read_again_even_if_less_is_asked_for(tmp_path: Path) -> None:
    tables(MODEL, StateStore(tmp_path, "w"))
    again = Counting()
    fewer = tables(again, StateStore(tmp_path, "w"), layers=(0, 2), positions=POSITIONS[2:])
    assert again.read == 0
    assert fewer["end"].layers == (0, 1, 2)
    assert set(fewer) == {each.name for each in POSITIONS[2:]}


def test_other_weights_labels_or_rows_are_read_anew(tmp_path: Path) -> None:
    tables(MODEL, StateStore(tmp_path, "w"))
    for store, keep in ((StateStore(tmp_path, "v"), True), (StateStore(tmp_path, "w"), False)):
        anew = Counting()
        found = tables(anew, store, keep=partial(_kept, keep))
        assert anew.read == (20 if keep else 10)
        assert len(found["end"]) == (60 if keep else 10)


def test_other_tokens_are_read_anew(tmp_path: Path) -> None:
    """What the tokenizer adds to a prompt, such as a token of its beginning, is not in the labels."""
    first = read(MODEL, TOKENIZER, LABELS, POSITIONS, (0, 1), workers=1, store=StateStore(tmp_path, "w"))
    with_bos: Any = WithBeginning()
    anew = Counting()
    model: Any = anew
    found = read(model, with_bos, LABELS, POSITIONS, (0, 1), workers=1, store=StateStore(tmp_path, "w"))
    assert anew.read == 20
    expected = read(MODEL, with_bos, LABELS, POSITIONS, (0, 1), workers=1)
    assert_same(found["end"], expected["end"])
    assert not np.allclose(found["end"].hidden, first["end"].hidden, atol=1e-3)


def test_other_verdicts_on_the_same_tokens_are_not_read_anew(tmp_path: Path) -> None:
    tables(MODEL, StateStore(tmp_path, "w"))
    opposite = [
        each.model_copy(update={"wrong": () if each.wrong else (WrongSpan(start=13, end=25),)})
        for each in LABELS
    ]
    again = Counting()
    model: Any = again
    found = read(model, TOKENIZER, opposite, POSITIONS, (0, 1, 2), workers=1, store=StateStore(tmp_path, "w"))
    assert again.read == 0
    for name, table in read(MODEL, TOKENIZER, opposite, POSITIONS, (0, 1, 2), workers=1).items():
        assert_same(found[name], table)


def test_states_beyond_half_precision_are_cut(tmp_path: Path) -> None:
    class Huge(Counting):
        def score(self, *given: Any) -> Any:
            output = super().score(*given)
            output.hidden[1][:, 0] = 1e6
            return output

    found = tables(Huge(), StateStore(tmp_path, "w"))["end"]
    assert (found.hidden[:, 1, 0] == LARGEST).all()
    assert np.isfinite(found.pooled).all()


def test_a_position_that_is_read_nowhere_has_no_rows(tmp_path: Path) -> None:
    unjudged = [each.model_copy(update={"checked": ()}) for each in LABELS]
    for store in (StateStore(tmp_path, "w"), StateStore(tmp_path, "w")):
        found = read(MODEL, TOKENIZER, unjudged, POSITIONS, (0, 1), store=store)
        assert (len(found["question"]), len(found["end"])) == (20, 0)
        assert found["end"].hidden.shape == (0, 2, MODEL.spec.d_model)
