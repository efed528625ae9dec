"""How far the words of a corpus's problems give away what is needed, as one number for each way to look."""

from collections.abc import Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from app.compare.results import Estimate
from app.findings.planning_cases import drawn_problems
from models.corpora.abilities import require
from models.corpora.corpus import Corpus
from models.corpora.splits import Split
from models.corpora.surface import BASELINES, SurfaceRow, baseline_scores, surface_rows
from probes.metrics.resampling import measure

_ONLY_INNER = "and words of its users"
"""That the question, and no quantity, uses one tells of itself that it is needed."""
_RESAMPLES = 300


def surface_auroc(corpus: Corpus, count: int, seed: int) -> Mapping[str, Estimate]:
    """AUROC for `needed` of each baseline, fitted on `count` problems and tested on as many of another split.

    Of the quantities that anything mentions, and of the inner ones alone (`models.corpora.surface`).
    `furthest` is the one furthest from chance, with the lowest and highest bound of any.
    """
    fitted_on, tested = (_rows(corpus, split, count, seed) for split in ("train", "test"))
    found: dict[str, Estimate] = {}
    with threadpool_limits(1):
        for inner in (False, True):
            before, rows = (
                [row for row in each if (row.inner if inner else row.mentions)]
                for each in (fitted_on, tested)
            )
            needed, problem = np.array([row.needed for row in rows]), np.array([row.problem for row in rows])
            for baseline in BASELINES:
                if baseline == _ONLY_INNER and not inner:
                    continue
                scores = baseline_scores(baseline, before, rows)
                auroc = measure(scores, needed, problem, resamples=_RESAMPLES, seed=seed).auroc
                found[f"{baseline}, {'inner' if inner else 'mentioned'}"] = Estimate(
                    value=auroc.value, low=auroc.low, high=auroc.high
                )
    furthest = max(found.values(), key=lambda each: abs(each.value - 0.5))
    lows = [each.low for each in found.values() if each.low is not None]
    highs = [each.high for each in found.values() if each.high is not None]
    found["furthest"] = Estimate(value=furthest.value, low=min(lows), high=max(highs))
    return found


def _rows(corpus: Corpus, split: Split, count: int, seed: int) -> list[SurfaceRow]:
    graph = require(corpus, "graph").graph
    drawn = drawn_problems(corpus, split, count, corpus.sizes.trained, seed)
    return surface_rows([graph(problem.prompt) for problem in drawn])
