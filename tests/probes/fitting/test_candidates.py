from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from probes.errors import LabelsError
from probes.fitting import candidates, families
from probes.fitting.candidates import Candidate, FittedCandidate, choose, fit_all, richer, single_layer
from probes.fitting.families import Weights
from probes.fitting.labels import LabelledCompletion, Part, WrongSpan
from probes.fitting.readings import Table, read
from probes.fitting.sweep import fit_probe
from probes.fitting.target import Target, targets
from probes.metrics.resampling import resample
from probes.position import standard_positions
from probes.probe import Probe
from tests.probes.stories import story_model

TARGET = Target("step_error", "The step is wrong.", ("end",))


Tables = dict[str, Table]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden layers are trained in fewer steps: what is fitted and chosen matters here, not how well."""
    monkeypatch.setattr(families, "MIN_STEPS", 200)


def tables(seed: int, count: int = 150) -> Tables:
    """Readings whose layer 2 says, with some noise, whether a step is wrong; all else is noise."""
    random = np.random.default_rng(seed)
    labels: list[LabelledCompletion] = []
    for index in range(count):
        wrong = () if random.random() < 0.6 else (WrongSpan(start=1, end=13, kind="number"),)
        labels.append(
            LabelledCompletion(
                prompt=f"Say {index}.",
                completion="\nBoats are 3. Kites are 2.",
                wrong=wrong,
                judged=13 if wrong else None,
            )
        )
    model, tokenizer = story_model()
    positions = standard_positions(tokenizer, (".", "\n"), (), tokenizer.end_token_id)
    found = read(model, tokenizer, labels, list(positions.values()), (0, 1, 2))
    planted: dict[str, Table] = {}
    for name, table in found.items():
        hidden = random.normal(size=table.hidden.shape).astype(np.float32)
        hidden[:, 2, 3] += 3 * table.wrong
        noise = random.normal(size=table.signals.shape).astype(np.float32)
        planted[name] = replace(table, hidden=hidden, pooled=hidden, signals=noise)
    return planted


@pytest.fixture(scope="module")
def parts() -> tuple[Tables, Tables, Tables]:
    """To fit on, to choose on, to calibrate on."""
    return tables(0, 300), tables(1), tables(2)


def fitted(
    family: str, scores: NDArray[np.float64], layers: tuple[int, ...] = (1,), position: str = "end"
) -> FittedCandidate:
    labels = np.arange(len(scores)) % 2 == 0
    validation = resample(scores, labels, np.arange(len(scores)), resamples=200)
    return FittedCandidate(
        Candidate(position, family, layers), Weights(np.zeros((1, 1)), np.zeros(1)), validation, 1.0
    )


def test_simplest_within_the_interval_of_the_best_wins() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(400) % 2 == 0
    good = labels + random.normal(size=400) * 0.5
    alike = good * 2 - 1
    poor = labels + random.normal(size=400) * 2
    best, simple, worst = (
        fitted("hidden_layer", good),
        fitted("logistic", alike),
        fitted("logistic", poor, (0,)),
    )
    assert choose([best, simple, worst]) is simple
    assert choose([best, worst]) is best
    assert choose([worst]) is worst
    early = fitted("difference_of_means", alike, position="name")
    assert choose([fitted("hidden_layer", good + 1e-9 * labels), early]).candidate.position == "end"


def test_sweep_finds_the_layer_that_knows_and_gives_a_calibrated_probe(
    parts: tuple[Tables, Tables, Tables],
) -> None:
    found = fit_probe(TARGET, *parts)
    assert found.probe.layers == (2,)
    assert found.candidate.family in ("difference_of_means", "logistic")
    assert sum(entry.chosen for entry in found.sweep) == 1
    table = parts[2]["end"]
    scores = found.probe.scores(found.candidate.inputs(table).astype(np.float64))
    assert abs(scores.mean() - table.wrong.mean()) < 0.03
    asked = [threshold.asked for threshold in found.thresholds]
    assert asked == [0.01, 0.05, 0.10]
    assert all(t.measured[0].false_alarm_rate <= t.asked for t in found.thresholds)


def test_a_sweep_tries_no_layer_that_was_not_asked_for(parts: tuple[Tables, Tables, Tables]) -> None:
    """Tables that come from a store have the layers of an earlier fit too."""
    found = fit_probe(TARGET, *parts, layers=(0, 1))
    assert {layer for entry in found.sweep for layer in entry.layers} == {0, 1}
    assert found.probe.layers != (2,)


def test_every_candidate_computes_the_same_as_its_probe_would(parts: tuple[Tables, Tables, Tables]) -> None:
    train, held_out, _ = parts
    table = held_out["end"]
    candidates = [
        Candidate("end", "logistic", (1, 2), "hidden_layer", "mean"),
        Candidate("end", "hidden_layer", (2,), "logistic"),
    ]
    for each in fit_all(candidates, TARGET, train, held_out):
        candidate, weights = each.candidate, each.weights
        probe = Probe(
            "p", table.position, candidate.layers, weights.weight, weights.bias, weights.out_weight,
            weights.out_bias, candidate.signals, candidate.pooling,
        )  # fmt: skip
        expected = 1 / (1 + np.exp(-candidate.scores(weights, table)))
        np.testing.assert_allclose(
            probe.scores(candidate.inputs(table).astype(np.float64)), expected, atol=1e-6
        )


def test_sweep_has_no_candidate_twice() -> None:
    candidates = [
        *single_layer("end", range(7), ("difference_of_means", "logistic")),
        *richer("end", range(7), 3),
    ]
    assert len(set(candidates)) == len(candidates)
    assert {len(each.layers) for each in candidates} == {0, 1, 6}


def by_part(parts: tuple[Tables, Tables, Tables]) -> dict[Part, Tables]:
    train, held_out, calibration = parts
    return {"fit": train, "validation": held_out, "calibration": calibration}


def test_targets_are_what_there_are_mistakes_of(parts: tuple[Tables, Tables, Tables]) -> None:
    tables_of = by_part(parts)

    def names(given: dict[Part, Tables], min_mistakes: int = 10) -> list[str]:
        return [target.name for target in targets(given, min_mistakes).targets]

    assert names(tables_of) == ["step_error", "step_error_early", "answer_error"]

    def with_kinds(tables: Tables) -> Tables:
        named = np.where(np.arange(len(tables["end"])) % 2, "number", "name")
        return tables | {
            at: replace(tables[at], kind=np.where(tables[at].wrong, named, "")) for at in ("end", "name")
        }

    mixed: dict[Part, Tables] = {part: with_kinds(tables) for part, tables in tables_of.items()}
    assert names(mixed) == ["step_error", "step_error_early", "name", "number", "answer_error"]
    assert len(names(mixed, 100_000)) == 3
    rest = targets({**mixed, "validation": tables_of["validation"]}, min_mistakes=10)
    # The mistakes there are all of one kind.
    assert [target.name for target in rest.targets if target.kind] == ["number"]


def test_what_there_are_too_few_labels_for_is_said_and_all_else_is_fitted(
    parts: tuple[Tables, Tables, Tables],
) -> None:
    tables_of = by_part(parts)
    held_out = tables_of["validation"]
    right = {name: table.take(~table.wrong) for name, table in held_out.items()}
    found = targets({**tables_of, "validation": {**held_out, "end": right["end"]}}, min_mistakes=10)
    assert [target.name for target in found.targets] == ["step_error_early", "answer_error"]
    assert "0 problems of the validation part have a wrong reading" in found.refused["step_error"]
    with pytest.raises(LabelsError, match="too few labels to fit a probe on"):
        targets({**tables_of, "validation": right}, min_mistakes=10)
    only: dict[Part, Tables] = {part: {"question": tables["question"]} for part, tables in tables_of.items()}
    assert [target.name for target in targets(only).targets] == ["answer_error"]


def test_what_would_not_go_into_memory_is_fitted_on_some_rows(
    parts: tuple[Tables, Tables, Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = parts[0]["end"]
    candidate = Candidate("end", "logistic", (2,))
    whole = candidate.fit(train, train.wrong)
    monkeypatch.setattr(candidates, "MAX_INPUTS", 100 * candidate.width(train))
    some = candidate.fit(train, train.wrong)
    assert not np.allclose(whole.weight, some.weight)
    scores = candidate.scores(some, train)
    assert scores[train.wrong].mean() > scores[~train.wrong].mean()
