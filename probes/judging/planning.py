"""How good the planning probe is on the test part, at the end of the question."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.language_model import LanguageModel
from models.tokenizer import Tokenizer
from probes.arrays import Floats
from probes.fitting.families import Weights
from probes.fitting.labels import LabelledCompletion, Part, sample
from probes.fitting.necessary import Pairs, fit_units, matched, pairs, units
from probes.fitting.readings import Table, group_number, read
from probes.judging.baselines import Scorer
from probes.judging.domains import judge_by_domain
from probes.judging.plain_probes import Subject
from probes.judging.results import ProbeResult
from probes.metrics.thresholds import thresholds

READ = 6000
"""Completions of the fitting and of the test part, each: every one gives as many pairs as the problem has
quantities."""

EQUALLY_MENTIONED = ", mentioned equally often"

Parts = Mapping[Part, Sequence[LabelledCompletion]]


def planning_reads(parts: Parts) -> int:
    """How many completions `judge_planning` reads at most, without an untrained network half of it."""
    return 2 * (min(READ, len(parts["fit"])) + min(READ, len(parts["test"]))) + len(parts["calibration"])


def judge_planning(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    subject: Subject,
    parts: Parts,
    untrained: LanguageModel[Any] | None,
    workers: int,
    resamples: int,
    on_progress: Callable[[int], None],
) -> ProbeResult:
    """Judge the probe by pairs of a question and a quantity of its problem, beside how often the problem
    mentions the quantity, and the same probe with shuffled labels, at layer 0, and on random weights.

    A further domain holds, of each domain, as many needed as other quantities of each problem and number of
    mentions, so that how often a quantity is mentioned says nothing there."""
    probe, (layer,) = subject.probe, subject.probe.layers

    def table(network: LanguageModel[Any], labels: Sequence[LabelledCompletion]) -> Table:
        found = read(
            network, tokenizer, labels, [probe.position], (0, layer), about=probe.tokens, workers=workers,
            on_progress=on_progress,
        )  # fmt: skip
        return found[probe.position.name]

    fitting, test = sample(parts["fit"], READ, seed=1), sample(parts["test"], READ, seed=1)
    learned, tested, calibration = (
        table(model, fitting),
        table(model, test),
        table(model, parts["calibration"]),
    )
    known, asked = pairs(learned), pairs(tested)
    shuffled = replace(known, labels=np.random.default_rng(0).permutation(known.labels))
    count = len(probe.tokens)
    nonsense = fit_units(learned.hidden[:, 1], shuffled, count)
    bottom = fit_units(learned.hidden[:, 0], known, count)
    mentions = asked.scores(_mentions(tokenizer, test, tested, probe.tokens))
    scorers = [
        Scorer("mentions", "baseline", mentions),
        Scorer("shuffled_labels", "control", _scores(tested, 1, asked, nonsense)),
        Scorer("layer_0", "control", _scores(tested, 0, asked, bottom)),
    ]
    if untrained is not None:
        blind, seen = table(untrained, fitting), table(untrained, test)
        weights = fit_units(blind.hidden[:, 1], pairs(blind), count)
        scorers.append(Scorer("random_weights", "control", _scores(seen, 1, pairs(seen), weights)))
    own = Weights(probe.weight, probe.bias)
    scores = probe.calibration(_scores(tested, 1, asked, own))
    domains = tested.domain[asked.rows]
    held_out = pairs(calibration)
    alike = matched(asked, mentions)
    rows = np.concatenate((np.arange(len(scores)), alike))
    where = np.concatenate((domains, np.char.add(domains[alike], EQUALLY_MENTIONED)))
    tried = {
        domain: (scores[domains == domain], asked.labels[domains == domain])
        for domain in sorted(set(domains.tolist()))
    }
    return ProbeResult(
        name=probe.name,
        meaning=subject.target.meaning,
        position=probe.position.name,
        family=subject.candidate.family,
        layers=probe.layers,
        domains=judge_by_domain(
            scores[rows],
            asked.labels[rows],
            asked.groups[rows],
            where,
            [replace(scorer, scores=scorer.scores[rows]) for scorer in scorers],
            resamples,
            workers,
        ),
        sweep=subject.sweep,
        thresholds=thresholds(
            (probe.calibration(_scores(calibration, 1, held_out, own)), held_out.labels), tried
        ),
    )


def _scores(table: Table, layer: int, found: Pairs, weights: Weights) -> Floats:
    return found.scores(units(weights, table.hidden[:, layer]))


def _mentions(
    tokenizer: Tokenizer, labels: Sequence[LabelledCompletion], table: Table, tokens: Sequence[int]
) -> Floats:
    """(n, tokens) how often the prompt names the quantity, in whatever case."""
    names = [tokenizer.decode([token_id]).strip().lower() for token_id in tokens]
    counts = {
        group_number(each.group_name): np.array([words.count(name) for name in names], dtype=np.float64)
        for each in labels
        for words in [each.prompt.lower().replace(".", " ").replace("?", " ").split()]
    }
    return np.stack([counts[group] for group in table.group.tolist()])
