import numpy as np
import pytest
import torch

from app.decoding.core.signals import SIGNALS, Distribution
from probes.fitting.labels import LabelledCompletion, WrongSpan
from probes.fitting.readings import read
from probes.inputs import CURRENT, FEATURES, PAST, signal_features, token_signals
from probes.position import split_steps, standard_positions
from tests.probes.stories import story_model

MODEL, TOKENIZER = story_model()
POSITIONS = standard_positions(TOKENIZER, (".", "\n"), (" =",), TOKENIZER.end_token_id)
COMPLETION = "\nBoats are 3. Kites are 4 more than boats = 4 + 3 = 8. Oars are 2. Answer: 8"
WRONG = WrongSpan(start=COMPLETION.index("Kites"), end=COMPLETION.index(" Oars"), kind="arithmetic")
LABELLED = LabelledCompletion(
    prompt="Boats are 3. How many kites?",
    completion=COMPLETION,
    wrong=(WRONG,),
    judged=WRONG.end,
    about={"Boats": True, "Oars": False},
    tags={"op": 2, "temperature": 0.7},
)
ABOUT = tuple(TOKENIZER.phrase_id(text) for text in ("Boats", "Oars", "Kites"))


def test_rows_are_the_steps_up_to_the_first_wrong_one() -> None:
    tables = read(MODEL, TOKENIZER, [LABELLED], list(POSITIONS.values()), (0, 2), about=ABOUT)
    end = tables["end"]
    assert end.wrong.tolist() == [False, True]
    assert end.kind.tolist() == ["", "arithmetic"]
    assert [TOKENIZER.decode([token]) for token in end.first_token.tolist()] == ["Boats", "Kites"]
    assert end.tokens_left.tolist() == [1, 1]
    assert tables["name"].tokens_left.tolist() == [3, 11]
    assert tables["start"].about.tolist() == [[1, 0, -1]] * 2
    assert tables["question"].wrong.tolist() == [True]
    assert (end.op.tolist(), end.domain.tolist()) == ([2, 2], ["id", "id"])
    assert len(set(end.group.tolist())) == 1
    # The constant has no marker, so it is read where it ends; the sum before its first equals sign.
    assert tables["middle"].tokens_left.tolist() == [1, 7]


@pytest.mark.parametrize("name", POSITIONS)
def test_hidden_states_and_signals_are_those_of_the_state_before_the_token(name: str) -> None:
    table = read(MODEL, TOKENIZER, [LABELLED], [POSITIONS[name]], (0, 1, 2))[name]
    prompt, ids = TOKENIZER.encode(LABELLED.prompt), TOKENIZER.encode(COMPLETION)
    output = MODEL.score([*prompt, *ids], (0, 1, 2))
    distribution = Distribution(output.logits[:-1], torch.tensor([*prompt, *ids][1:]))
    steps = [each for _, each in split_steps(ids, POSITIONS[name].closing) if len(each) > 1]
    for row in range(len(table)):
        if name == "question":
            step, at = range(1, 2), 1  # behind the line break
        else:
            step = steps[row]
            at = step.stop - int(table.tokens_left[row])
        state = len(prompt) - 1 + at
        for column, layer in enumerate((0, 1, 2)):
            expected_state = output.hidden[layer][state].numpy()
            np.testing.assert_allclose(table.hidden[row, column], expected_state, atol=1e-5)
            earlier = output.hidden[layer][len(prompt) - 1 + step.start : state + 1].numpy()
            np.testing.assert_allclose(table.pooled[row, column], earlier.mean(axis=0), atol=1e-5)
        values = {key: SIGNALS[key].compute(distribution).numpy() for key in PAST}
        past = [[values[key][len(prompt) - 1 + token] for key in PAST] for token in range(step.start, at)]
        expected = signal_features(past, [values[key][state] for key in CURRENT], int(table.step[row]))
        np.testing.assert_allclose(table.signals[row], expected, rtol=1e-3, atol=1e-3)


def test_token_signals_are_those_that_the_server_computes() -> None:
    logits = torch.randn(50, 30, generator=torch.Generator().manual_seed(0)) * 4
    logits[0, 3:] = -torch.inf
    logits[1] = 0.0
    chosen = torch.arange(50) % 3
    distribution = Distribution(logits, chosen)
    found = token_signals(logits, chosen)
    for column, name in enumerate(PAST):
        expected = SIGNALS[name].compute(distribution).double().numpy()
        np.testing.assert_allclose(found[:, column], expected, atol=1e-4, rtol=1e-4)


def test_signals_of_a_step_are_pooled_by_first_max_and_mean() -> None:
    past = [[1.0, 2.0, 0.9, 0.8, 0.1], [3.0, 0.0, 0.4, 0.3, 2.0]]
    found = dict(zip(FEATURES, signal_features(past, [0.5, 0.25, 0.7, 0.6], 4), strict=True))
    assert (found["entropy"], found["max_probability"]) == (0.5, 0.7)
    assert (found["first entropy"], found["max entropy"], found["mean entropy"]) == (1.0, 3.0, 2.0)
    assert found["max 1 - margin"] == pytest.approx(0.7)
    assert found["log max surprisal"] == pytest.approx(np.log(2.0 + 1e-6))
    assert (found["tokens read"], found["step"]) == (2, 4)
    nothing = dict(zip(FEATURES, signal_features([], [0.5, 0.25, 0.7, 0.6], 0), strict=True))
    assert (nothing["max entropy"], nothing["max 1 - margin"], nothing["tokens read"]) == (0, 0, 0)


def test_what_was_not_judged_is_not_read() -> None:
    forced = LABELLED.model_copy(update={"judged_from": WRONG.start, "own": False})
    table = read(MODEL, TOKENIZER, [forced], [POSITIONS["end"]], (1,))["end"]
    assert table.kind.tolist() == ["arithmetic"]
    assert not table.own.any()
    table = read(MODEL, TOKENIZER, [LABELLED], [POSITIONS["end"]], (1,), keep=lambda _: False)["end"]
    assert table.kind.tolist() == ["arithmetic"]
    assert table.own.all()


def test_tokens_of_a_completion_may_be_given_and_too_many_are_cut() -> None:
    ids = tuple(TOKENIZER.encode(COMPLETION))
    given = LABELLED.model_copy(update={"completion_ids": ids})
    first, second = (
        read(MODEL, TOKENIZER, [each], [POSITIONS["end"]], (2,))["end"].hidden for each in (LABELLED, given)
    )
    np.testing.assert_array_equal(first, second)
    long = LABELLED.model_copy(update={"completion": "Boats are 3. " * 40, "wrong": (), "judged": None})
    table = read(MODEL, TOKENIZER, [long], [POSITIONS["end"]], (2,))["end"]
    assert 0 < len(table) < 40
