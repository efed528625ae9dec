"""Runs with a known truth, made without a model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.compare.outcome import LatencySample, Outcome
from app.compare.results import Estimate
from app.compare.spec import ComparisonSpec, parse_spec


def spec_of(arms: Sequence[str], problems: int, **fields: object) -> ComparisonSpec:
    """A comparison of greedy arms on problems of the corpus; one whose name begins with "oracle" is told."""
    strategies = {name: "oracle_retry" if name.startswith("oracle") else "greedy" for name in arms}
    return parse_spec(
        {
            "arms": [{"name": name, "strategy": {"kind": kind}} for name, kind in strategies.items()],
            "problems": {"source": "corpus", "ops": [1, 3], "count": problems},
            **fields,
        }
    )


def outcome(
    problem: str, arm: str, solved: bool | None, kept: int = 50, discarded: int = 0, **fields: object
) -> Outcome:
    """An outcome in which nothing else is worth mentioning."""
    plain: dict[str, object] = {
        "problem": problem,
        "group": f"op {problem.split('/')[0]}",
        "arm": arm,
        "seed": 0,
        "correct": solved,
        "answer": "7",
        "expected": "7",
        "solved": solved,
        "first_error": None,
        "finish_reason": "stop",
        "abstained": False,
        "text": f"{arm} says 7.",
        "prompt_tokens": 60,
        "cached_tokens": 59,
        "completion_tokens": kept,
        "discarded_tokens": discarded,
        "forward_rows": 59 + kept + discarded,
        "events": 0,
        "latency_s": 0.5,
    }
    return Outcome.model_validate(plain | fields)


def run(
    arms: Sequence[str], problems: int, seed: int = 0, missing: float = 0.0
) -> tuple[list[Outcome], list[LatencySample]]:
    """Outcomes of arms that get better and dearer one after the other, on problems of different difficulty.

    missing: share of outcomes that are not there.
    """
    random = np.random.default_rng(seed)
    outcomes: list[Outcome] = []
    latency: list[LatencySample] = []
    for number in range(problems):
        op, hardness = number % 3 + 1, random.normal()
        for place, arm in enumerate(arms):
            ability = 1.4 + 0.25 * place - 0.3 * op + 0.6 * random.normal()
            kept, discarded = int(random.integers(20, 60)) * op, int(random.poisson(20 * place))
            abstained, solved = bool(random.random() < 0.05), bool(ability > hardness)
            fields = {
                "correct": (solved or bool(random.random() < 0.2)) and not abstained,
                "abstained": abstained,
                "finish_reason": "abstained" if abstained else "stop",
                "events": int(random.poisson(place)),
                "latency_s": float(0.1 + 0.01 * (kept + discarded) * (1 + random.random())),
            }
            problem = f"{op}/{number // 3}"
            if random.random() >= missing:
                outcomes.append(outcome(problem, arm, solved and not abstained, kept, discarded, **fields))
            if number < 20:
                seconds = float(0.05 + random.random())
                latency.append(
                    LatencySample(problem=problem, arm=arm, latency_s=seconds, first_token_s=seconds / 9)
                )
    return outcomes, latency


def write(path: Path, outcomes: Sequence[Outcome]) -> Path:
    """A file of outcomes as a run writes it."""
    path.write_text("".join(each.line() + "\n" for each in outcomes), encoding="utf-8")
    return path


def ends(estimate: Estimate | None) -> tuple[float, float, float]:
    """Low end, value and high end of an estimate that has all three."""
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.value, estimate.high
