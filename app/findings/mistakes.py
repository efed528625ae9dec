"""Models know of their own mistakes, and that they do not know somebody."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf

import numpy as np

from app.compare.resampling import resampled_means
from app.compare.results import Estimate
from app.compare.statistics import interval, wilson
from app.findings.criteria import Between, Criterion, below
from app.findings.figures import Bar, bars
from app.findings.finding import Bench, Experiment, Finding, Question, Size, Stage, StageResult
from app.findings.knowledge import WORLDS, World, asked_and_others, corpus_of, less, pretraining
from app.findings.networks import cost_of, trained
from app.findings.own_probe import Labelling, evaluated_anew, evaluated_before
from app.findings.strangers import PLACES, Reading, fit, parts_of, read, threshold_that_keeps, wrong_answers
from models.gpt2 import GPT2
from models.training.config import PretrainConfig
from probes.arrays import Bools, Floats, Ints
from probes.metrics.resampling import resample

HYPOTHESIS = (
    Criterion(
        "recall_gain",
        "first mistakes of its own that `step_error` finds at 5% false alarms, less the best free signal",
        supported=Between(low=0.10),
        refuted=(Between(high=0.0),),
        unit="%",
    ),
    Criterion(
        "control_gain",
        "the same, less the probe on a network with random weights",
        supported=Between(low=0.25),
        refuted=(below(0.10),),
        unit="%",
    ),
    Criterion(
        "stranger_auroc",
        "people against strangers, by a probe at the end of the question, AUROC",
        supported=Between(low=0.90),
        refuted=(below(0.60),),
    ),
    Criterion(
        "stranger_gain",
        "the same, less the better of entropy, margin and the probe on a model that saw neither half",
        supported=Between(low=0.05),
        refuted=(Between(high=0.0),),
    ),
    Criterion(
        "abstain_excess",
        "wrong answers of `abstain` with that probe beyond the level it was asked to keep",
        supported=Between(high=0.02),
        refuted=(Between(low=0.10),),
        unit="%",
    ),
)

IGSM, BIOS = "igsm", "bios"
LEVEL = 0.1
"""Share of wrong answers among those given that `abstain` is asked to keep."""
ANOTHER_WORLD = 1000
"""Added to a seed for the people whom the control was told of."""
LABELS: Mapping[Size, Labelling] = {"quick": Labelling(0.02, (1.0,)), "full": Labelling(0.5)}
"""The labels that a probe of igsm is fitted and judged on."""


def stages(size: Size, seed: int) -> Sequence[Stage]:
    world = WORLDS[size]
    tokens = world.people * world.exposures * (45 + 20)  # of a biography and the question beside it
    labels = LABELS[size]
    before = size == "full" and seed == 0
    reading = 0.0 if before else cost_of(10e6 * labels.scale, 12 * 6 * 192**2)
    return [
        Stage(IGSM, reading, partial(_igsm, None if before else labels, seed)),
        Stage(BIOS, cost_of(2 * tokens, world.block_parameters), partial(_bios, world, seed)),
    ]


def _igsm(labels: Labelling | None, seed: int, bench: Bench) -> StageResult:
    found = evaluated_before() if labels is None else evaluated_anew(bench.folder / IGSM, labels, seed)
    free = [each for each in found.comparisons if each.kind == "baseline"]
    best = max(free, key=lambda each: each.metrics.recall_at_5.value)
    control = next(each for each in found.comparisons if each.name == "random_weights")
    own = found.metrics.recall_at_5
    gain = best.recall_gain
    return {
        "recall": own.model_dump(),
        "best_free": best.name,
        "recall_gain": {} if gain is None else gain.model_dump(),
        "random_weights": control.metrics.recall_at_5.model_dump(),
        "mistakes": found.positives,
    }


def _bios(world: World, seed: int, bench: Bench) -> StageResult:
    """A probe for strangers on a model of mixed training, beside its probabilities, and beside the same probe
    on a model that was told of other people."""
    networks: list[GPT2] = []
    configs = [_pretraining(world, seed), _pretraining(world, seed + ANOTHER_WORLD)]
    for config, name in zip(configs, ("told", "another world"), strict=True):
        before = len(networks) / 2

        def told(share: float, before: float = before) -> None:
            bench.told(before + share / 2)

        networks.append(trained(config, bench.folder / name, replace(bench, told=told)))
    corpus = corpus_of(configs[0])
    tokenizer = corpus.make_tokenizer()
    _, others = asked_and_others(corpus, world.people)
    known, held_out, calibrated, tested = parts_of(others, corpus, seed)

    def doubts(network: GPT2) -> tuple[str, int, Mapping[str, tuple[Reading, Floats]]]:
        readings = [read(network, tokenizer, each) for each in (known, held_out, calibrated, tested)]
        probe = fit((known, readings[0]), (held_out, readings[1]))
        its = {"calibrated": readings[2], "tested": readings[3]}
        return PLACES[probe.place], probe.layer, {key: (each, probe.doubt(each)) for key, each in its.items()}

    place, layer, own = doubts(networks[0])
    _, _, blind = doubts(networks[1])
    reading, doubt = own["tested"]
    rivals = {"entropy": reading.entropy, "margin": -reading.margin, "another_world": blind["tested"][1]}
    probe = resample(doubt, tested.strangers, tested.people)
    measured_rivals = {name: resample(each, tested.strangers, tested.people) for name, each in rivals.items()}
    best = max(measured_rivals, key=lambda name: measured_rivals[name].values["auroc"])
    threshold = threshold_that_keeps(
        LEVEL, own["calibrated"][1], wrong_answers(networks[0], tokenizer, corpus, calibrated)
    )
    wrong = wrong_answers(networks[0], tokenizer, corpus, tested)
    return {
        "read_at": place,
        "layer": layer,
        "probe": probe.metrics().auroc.model_dump(),
        **{name: each.metrics().auroc.model_dump() for name, each in measured_rivals.items()},
        "best_rival": best,
        "gain": probe.minus(measured_rivals[best], "auroc").model_dump(),
        "wrong_about_people": float(wrong[~tested.strangers].mean()),
        "answered": float((doubt <= threshold).mean()),
        "kept_level": threshold > -inf,
        "abstain_wrong": _risk(doubt <= threshold, wrong, tested.people).model_dump(),
    }


def _pretraining(world: World, seed: int) -> PretrainConfig:
    """That of the finding one_way, biographies with the name first."""
    return pretraining(world, seed, "multi5", "permuted", "first", questions=0.5, inverse=True)


def _risk(answered: Bools, wrong: Bools, people: Ints) -> Estimate:
    """Share of wrong answers among those given, its interval over people and as wide as Wilson's; 0, known of
    nobody, where none is given."""
    if not answered.any():
        return Estimate(value=0.0)
    value = float(wrong[answered].mean())
    counts = np.stack([np.bincount(people, weights=each) for each in (answered & wrong, answered)], axis=1)
    both = resampled_means(counts.astype(np.float64))
    by_person = interval(value, both[:, 0] / np.maximum(both[:, 1], 1e-9))
    low, high = wilson(int((answered & wrong).sum()), int(answered.sum()))
    return Estimate(value=value, low=min(low, by_person.low or 0.0), high=max(high, by_person.high or 0.0))


def measured(results: Mapping[str, StageResult]) -> Mapping[str, Estimate]:
    found: dict[str, Estimate] = {}
    if IGSM in results:
        its = results[IGSM]
        if its["recall_gain"]:
            found["recall_gain"] = Estimate(**its["recall_gain"])
        found["control_gain"] = less(Estimate(**its["recall"]), Estimate(**its["random_weights"]))
    if BIOS in results:
        its = results[BIOS]
        found["stranger_auroc"] = Estimate(**its["probe"])
        found["stranger_gain"] = Estimate(**its["gain"])
        risk = Estimate(**its["abstain_wrong"])
        if its["kept_level"] and risk.low is not None and risk.high is not None:
            found["abstain_excess"] = Estimate(
                value=risk.value - LEVEL, low=risk.low - LEVEL, high=risk.high - LEVEL
            )
    return found


def figure(results: Mapping[int, Mapping[str, StageResult]]) -> str:
    values = [
        Bar(label, seed, Estimate(**by_stage[stage][key]))
        for seed, by_stage in results.items()
        for stage, key, label in (
            (IGSM, "recall", "recall of own mistakes: the probe"),
            (IGSM, "random_weights", "the same on random weights"),
            (BIOS, "probe", "strangers, AUROC: the probe"),
            (BIOS, "entropy", "strangers: entropy"),
            (BIOS, "margin", "strangers: margin"),
            (BIOS, "another_world", "strangers: a model of other people"),
        )
        if stage in by_stage
    ]
    return bars(values, "recall at 5% false alarms, or AUROC")


FINDING = Finding(
    name="mistakes",
    title="Models detect their own mistakes",
    claim="The hidden states of a model tell that a step is wrong, and that it was never told of somebody, "
    "better than its probabilities do.",
    source="Physics of Language Models 2.2, arXiv 2408.16293, section 3; hallucination in bios is our own",
    design="igsm: the probe step_error on the embedded model's own solutions of the test split, sizes that "
    "it was trained on, with the rivals of docs/probes.md. Seed 0 is what that page has, which was known "
    "when the thresholds were fixed; others label, fit and judge anew, half as much. bios: questions about "
    "people of the corpus that training did not ask about, and about as many strangers, by a model of mixed "
    "training (that of one_way); the control is the same probe on a model told of another world's people. "
    "Probes are linear, before a word of the answer; place and layer by held-out people; entropy and margin "
    "are of the answer's first word. `abstain` is asked to keep 10% of wrong answers among those given.",
    criteria=HYPOTHESIS,
    experiment=Experiment(stages=stages, measured=measured, figure=figure),
    minutes=95,
    questions=(
        Question(
            "igsm",
            "Masks are 7. Magnets are 10 times masks. Candles are knots plus magnets. Knots are 3. "
            "Flutes are candles times magnets. Drums are flutes minus knots. Nets are drums plus candles. "
            "Jars are nets times flutes. How many jars?",
            "whose steps it gets wrong now and then; colour the tokens by the probe step_error.",
        ),
        Question(
            "bios",
            "Maren Hazelworth Pellridge: employer?",
            "a stranger in the world of seed 0; look at the entropy of the answer.",
        ),
    ),
)
