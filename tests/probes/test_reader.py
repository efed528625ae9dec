"""Reading token by token, against each probe's definition on the whole text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decoder import Decoder
from probes.inputs import CURRENT, token_signals
from probes.probe import Probe
from probes.reader import ProbeReader
from probes.reference_scores import score_text
from probes.rule import NO_TOKEN, Trace
from tests.models.tiny import tiny_network
from tests.probes.tiny import every_family

CLOSING, MARKERS, TOKENS = (1, 2), (3, 4), (5, 6, 7)
MODEL = Decoder(tiny_network(), "tiny", None)
PROBES = every_family(CLOSING, MARKERS, TOKENS, d_model=32, last=2)

# Few ids, so that steps end and markers come often.
completions = st.lists(st.integers(1, 9), min_size=1, max_size=30)


@dataclass(frozen=True)
class Written:
    """A token of a completion."""

    id: int
    trace: Trace | None


@torch.inference_mode()
def read_all(
    probes: Sequence[Probe],
    prompt: list[int],
    completion: list[int],
    names: Sequence[str],
) -> list[dict[str, float]]:
    """What a server would read, one token after the other."""
    reader = ProbeReader(probes)
    plan = reader.plan(names)
    output = MODEL.score([*prompt, *completion], reader.layers)
    first = len(prompt) - 1
    signals = token_signals(output.logits[first:-1], torch.tensor(completion))
    written: list[Written] = []
    scores: list[dict[str, float]] = []
    for index, token_id in enumerate(completion):
        rows = [output.hidden[layer][first + index] for layer in reader.layers]
        states = torch.stack(rows).numpy() if rows else np.zeros((1, 0), dtype=np.float32)
        mine = tuple(signals[index].tolist()) if plan.signals else ()
        scores.append(plan.read(written, token_id, states, mine))
        written.append(Written(token_id, plan.trace(written, states, mine)))
    return scores


@settings(max_examples=25)
@given(completions)
def test_scores_are_those_of_the_definition(completion: list[int]) -> None:
    prompt = [10, 11, 12]
    expected = score_text(MODEL, prompt, completion, PROBES)
    read = read_all(PROBES, prompt, completion, [probe.name for probe in PROBES])
    for mine, theirs in zip(read, expected, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)


def test_each_family_was_read_and_says_something() -> None:
    completion = [8, 3, 5, 1, 5, 9, 4, 2, 6, 8, 3, 9, 1, 7, 8, 8, 1]
    scores = score_text(MODEL, [10, 11, 12], completion, PROBES)
    for probe in PROBES:
        values = [token[probe.name] for token in scores if probe.name in token]
        assert len(values) == 1 if probe.name == "answer" else len(set(values)) > 1
        assert all(0 < value < 1 for value in values)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_probe_reads_the_same_alone_and_beside_others(probe: Probe) -> None:
    completion = [8, 3, 5, 1, 5, 9, 4, 2, 6, 8, 3, 9, 1]
    alone = read_all([probe], [10, 11], completion, [probe.name])
    chosen = read_all(PROBES, [10, 11], completion, [probe.name])
    expected = score_text(MODEL, [10, 11], completion, [probe])
    for left, middle, right in zip(alone, chosen, expected, strict=True):
        assert left == pytest.approx(right, abs=1e-5)
        assert middle == pytest.approx(right, abs=1e-5)


def test_before_the_choice_there_is_what_does_not_depend_on_it() -> None:
    reader = ProbeReader(PROBES)
    plan = reader.plan([probe.name for probe in PROBES])
    states = np.ones((len(reader.layers), 32), dtype=np.float32)
    before = plan.read([], NO_TOKEN, states, [0.5] * len(CURRENT))
    after = plan.read([], 8, states, [0.5] * len(CURRENT))
    assert set(before) == {"answer", "pooled_every"}
    assert before == after


def test_only_what_is_needed_is_kept_with_a_token() -> None:
    reader = ProbeReader(PROBES)
    states = np.arange(96, dtype=np.float32).reshape(3, 32)
    assert reader.plan(["linear", "network"]).signals == ()
    assert reader.plan(["linear", "network"]).trace([], states, ()) is None
    with_signals = reader.plan(["with_signals"]).trace([], states, (1.0,))
    assert with_signals is not None
    assert with_signals.states is None
    pooled = reader.plan(["pooled"]).trace([], states, ())
    assert pooled is not None
    assert pooled.states is not None
    assert pooled.states.tolist() == states.tolist()
    assert pooled.states.base is None, "else it would keep those of the whole batch"


def test_layers_are_those_that_some_probe_reads() -> None:
    assert ProbeReader(PROBES).layers == (0, 1, 2)
    assert ProbeReader([PROBES[0]]).layers == (2,)
    assert ProbeReader([]).layers == ()
