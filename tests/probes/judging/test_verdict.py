"""Which probes are worth having."""

import pytest

from probes.judging.results import DomainResult, RivalResult
from probes.judging.verdict import verdict_of
from probes.metrics.curves import Curves
from probes.metrics.estimates import Estimate, Metrics

NAN = float("nan")


def metrics(auroc: float) -> Metrics:
    estimate = Estimate(value=auroc, low=auroc - 0.1, high=auroc + 0.1)
    return Metrics(**dict.fromkeys(Metrics.model_fields, estimate))


def result(*gains: tuple[float, float], domain: str = "id") -> DomainResult:
    rivals = [
        RivalResult(
            name=f"rival {number}",
            kind="baseline",
            metrics=metrics(0.8 - gain),
            auroc_gain=Estimate(value=gain, low=low, high=gain + 0.1),
        )
        for number, (gain, low) in enumerate(gains)
    ]
    control = RivalResult(
        name="control",
        kind="control",
        metrics=metrics(0.9),
        auroc_gain=Estimate(value=-0.1, low=-0.2, high=0),
    )
    return DomainResult(
        domain=domain,
        rows=50,
        positives=20,
        problems=40,
        metrics=metrics(0.8),
        comparisons=(*rivals, control),
        curves=Curves(roc=(), reliability=()),
    )


@pytest.mark.parametrize(("positives", "rows"), [(9, 50), (45, 50), (0, 0)])
def test_few_readings_of_a_kind_decide_nothing(positives: int, rows: int) -> None:
    few = result((0.4, 0.3)).model_copy(update={"positives": positives, "rows": rows})
    verdict = verdict_of({"id": few})
    assert not verdict.beats_free
    assert f"{positives} positives of {rows} readings" in verdict.reason


@pytest.mark.parametrize(
    ("gains", "beats"),
    [
        (((0.1, 0.02), (0.2, 0.1)), True),
        (((0.1, 0.0), (0.2, 0.1)), False),
        (((0.2, 0.1), (0.1, -0.01)), False),
        (((0.2, 0.1), (NAN, NAN)), False),
        ((), False),
    ],
)
def test_a_probe_has_to_be_better_than_each_baseline_with_its_whole_interval(
    gains: tuple[tuple[float, float], ...], beats: bool
) -> None:
    verdict = verdict_of({"id": result(*gains)})
    assert verdict.beats_free == beats
    if gains == ((0.1, 0.02), (0.2, 0.1)):
        assert verdict.reason == (
            "AUROC 0.800 against 0.700 of rival 0, which is free: a gain of +0.100 (+0.020 to +0.200) with "
            "20 positives of 50 readings"
        )


def test_the_domain_of_what_was_trained_on_decides() -> None:
    good, poor = result((0.1, 0.05)), result((0.1, -0.05), domain="ood")
    assert verdict_of({"ood": poor, "id": good}).beats_free
    assert not verdict_of({"ood": poor}).beats_free
    assert not verdict_of({}).beats_free
