"""Random retry: how often it goes back, and that it never looks at the text."""

import pytest

from app.decoding.strategies import RandomRetry
from tests.app.decoding.strategies.scripted import attempts, begin, drive

STEPS = [[("ab.", 0.0)] for _ in range(40)]
OFTEN = {"per_step": 64, "per_answer": 1024}


def test_it_rejects_as_often_as_it_says() -> None:
    strategy = RandomRetry.model_validate({"probability": 0.25, "retry": OFTEN})
    rejected = accepted = 0
    for seed in range(20):
        run = drive(strategy, attempts(*STEPS), begin(seed=seed))
        assert run.text == "ab." * 40
        rejected += sum(event.rule == "random_retry" for event in run.events)
        # The end token is a step of its own.
        accepted += 41
    share = rejected / (rejected + accepted)
    assert share == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / (rejected + accepted)) ** 0.5)


@pytest.mark.parametrize(("probability", "retries"), [(0.0, 0), (1.0, 12)])
def test_never_and_always(probability: float, retries: int) -> None:
    run = drive(RandomRetry(probability=probability), attempts(*STEPS))
    assert sum(event.rule == "random_retry" for event in run.events) == retries
    assert run.text == "ab." * 40


def test_where_it_goes_back_depends_on_the_seed_alone() -> None:
    strategy = RandomRetry(probability=0.3)
    other = [[("ab.", 1.0), ("cd.", 1.0)] for _ in range(40)]
    runs = [drive(strategy, attempts(*steps), begin(seed=7)) for steps in (STEPS, STEPS, other)]
    traces = [[(event.position, event.rule) for event in run.events] for run in runs]
    assert traces[0] == traces[1] == traces[2]
    assert traces[0] != [
        (e.position, e.rule) for e in drive(strategy, attempts(*STEPS), begin(seed=8)).events
    ]
