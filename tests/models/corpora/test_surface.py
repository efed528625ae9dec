"""What the surface tells: features of a problem counted by hand, and a corpus that gives nothing away."""

from functools import lru_cache
from itertools import islice

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.corpora.abilities import Graph, require
from models.corpora.drawing import problems
from models.corpora.registry import corpus_named
from models.corpora.splits import Split
from models.corpora.surface import BASELINES, SurfaceRow, baseline_scores, surface_rows

PROBLEM = "Kites are 7. Boats are kites plus oars. Oars are 2 more than kites. Hats are boats minus oars."


def graph(problem: str) -> Graph:
    return require(corpus_named("igsm"), "graph").graph(problem)


def test_features_are_those_counted_by_hand() -> None:
    kites, boats, oars, hats = surface_rows([graph(f"{PROBLEM} How many boats?")])
    assert [row.needed for row in (kites, boats, oars, hats)] == [True, True, True, False]
    assert [row.mentions for row in (kites, boats, oars, hats)] == [2, 2, 2, 0]
    assert [row.inner for row in (kites, boats, oars, hats)] == [True, False, True, False]
    assert [row.place for row in (kites, boats, oars, hats)] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert boats.words == {"boats": 1, "sum": 1, "kites": 1, "oars": 1}
    assert kites.words == {"kites": 1, "constant": 1, "7": 1}
    assert boats.user_words == {"in use: hats": 1, "in use: difference": 1, "in use: oars": 1}


@lru_cache
def rows_of(name: str, split: Split, count: int) -> list[SurfaceRow]:
    corpus = corpus_named(name)
    drawn = islice(problems(corpus, split, 0), count)
    rows = surface_rows([require(corpus, "graph").graph(problem.prompt) for problem in drawn])
    return [row for row in rows if row.mentions]


def auroc(baseline: str, name: str) -> float:
    before, rows = rows_of(name, "train", 600), rows_of(name, "test", 600)
    return float(
        roc_auc_score(np.array([row.needed for row in rows]), baseline_scores(baseline, before, rows))
    )


@pytest.mark.parametrize("baseline", ["mentions", "place", "kind", "words", "all four"])
def test_nothing_on_the_surface_of_decoys_gives_away_what_is_needed(baseline: str) -> None:
    assert 0.45 < auroc(baseline, "decoys") < 0.55


def test_in_igsm_mentions_do() -> None:
    assert auroc("mentions", "igsm") > 0.6
    assert next(iter(BASELINES)) == "mentions"
