from dataclasses import replace

import numpy as np
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from probes.fitting.labels import LabelledCompletion
from probes.fitting.necessary import Pairs, fit_layers, fit_units, matched, pairs, units
from probes.fitting.readings import Table, read
from probes.position import standard_positions
from tests.probes.stories import story_model

MODEL, TOKENIZER = story_model()
START = standard_positions(TOKENIZER, (".", "\n"), (), TOKENIZER.end_token_id)["start"]
ABOUT = tuple(TOKENIZER.phrase_id(text) for text in ("Boats", "Kites", "Oars"))


def table(count: int = 2) -> Table:
    labels = [
        LabelledCompletion(
            prompt=f"Boats are {number}. How many boats?",
            completion="\nBoats are 3. Kites are 2. Oars are 4.",
            about={"Boats": True, "Kites": number % 2 == 0},
        )
        for number in range(count)
    ]
    return read(MODEL, TOKENIZER, labels, [START], (0, 2), about=ABOUT)["start"]


def test_pairs_are_the_known_quantities_at_the_end_of_each_question() -> None:
    found = pairs(table())
    assert len(table()) == 6
    assert found.rows.tolist() == [0, 0, 3, 3]
    assert found.columns.tolist() == [0, 1, 0, 1]
    assert found.labels.tolist() == [True, True, True, False]
    assert len(set(found.groups.tolist())) == 2
    assert len(pairs(table(), first_only=False).rows) == 12


def test_units_find_a_direction_per_token() -> None:
    random = np.random.default_rng(0)
    hidden = (random.normal(size=(3000, 6)) * 10.0 ** random.uniform(-1, 1, 6)).astype(np.float32)
    directions = random.normal(size=(4, 6)) / hidden.std(axis=0)
    rows, columns = np.repeat(np.arange(3000), 2), random.integers(0, 4, 6000)
    truth = 3 * (hidden @ directions.T)[rows, columns] - 1
    labels = random.random(6000) < expit(truth)
    known = Pairs(rows, columns, labels, rows)
    half = rows < 2000
    learned = Pairs(rows[half], columns[half], labels[half], rows[half])
    weights = fit_units(hidden, learned, 4)
    scores = known.scores(units(weights, hidden))
    assert roc_auc_score(labels[~half], scores[~half]) > roc_auc_score(labels[~half], truth[~half]) - 0.01
    assert np.corrcoef(scores, truth)[0, 1] > 0.98


def test_layer_that_knows_is_told_from_one_that_does_not() -> None:
    random = np.random.default_rng(1)
    plain = table(300)
    hidden = random.normal(size=plain.hidden.shape).astype(np.float32)
    hidden[:, 1, 5] = plain.about[:, 1]
    planted = replace(plain, hidden=hidden)
    bottom, top = fit_layers(planted, planted, (0, 2))
    assert top.validation.values["auroc"] > 0.95
    assert bottom.validation.values["auroc"] < top.validation.values["auroc"]


def test_among_matched_pairs_neither_the_problem_nor_the_level_says_anything() -> None:
    random = np.random.default_rng(2)
    groups = random.integers(0, 40, 900)
    level = random.integers(1, 4, 900).astype(np.float64)
    labels = random.random(900) < 0.2 * level + 0.01 * (groups % 10)
    found = Pairs(np.arange(900), np.zeros(900, dtype=np.int64), labels, groups)
    kept = matched(found, level)
    assert len(set(kept.tolist())) == len(kept) > 100
    assert roc_auc_score(labels, level) > 0.6
    assert roc_auc_score(labels[kept], level[kept]) == 0.5
    assert roc_auc_score(labels[kept], groups[kept]) == 0.5
    for group in range(40):
        for value in (1.0, 2.0, 3.0):
            stratum = (groups == group) & (level == value)
            needed, others = int(labels[stratum].sum()), int((~labels[stratum]).sum())
            assert int(stratum[kept].sum()) == 2 * min(needed, others)
