"""The probe for strangers as a server reads it: fitted on a checkpoint of bios, judged, and with a card."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.findings.knowledge import answer_forwards, answer_inversely, asked_and_others, share_of
from app.findings.strangers import PLACES, Questions, Reading, StrangerProbe, fit, parts_of, read
from models.checkpoint import LoadedCheckpoint, load_network
from models.corpora.bios.biography import ANSWER
from models.corpora.bios.bios import Bios, BiosSettings
from models.corpora.registry import corpus_of
from models.errors import SpecError
from probes.arrays import Bools, Floats
from probes.card import Threshold, golden_example, probe_card
from probes.inputs import FEATURES
from probes.metrics.resampling import resample
from probes.metrics.thresholds import rates_at, threshold_at
from probes.position import Position, standard_positions
from probes.probe import Probe
from probes.store import StoredProbe

NAME = "stranger"
_MARKER = PLACES.index("answer marker")
"""The later place, which a completion always has, whether its prompt ends with the line break or not."""
_SIGNALS = ("entropy", "margin")
_FALSE_ALARMS = 0.05


def served_stranger_probe(loaded: LoadedCheckpoint, seed: int, origin: dict[str, JsonValue]) -> StoredProbe:
    """A probe that says before an answer's first word how likely it is about somebody never told of.

    It is the better of two, by held-out people: linear on hidden states, and on signals of the answer's first
    word; its card says what both reach. Half of the questions that it is fitted and judged on are about
    strangers; of people, those whom training asked about are left out, as in the finding `mistakes`.

    Args:
        origin: command and commit, for its card.

    Raises:
        SpecError: the checkpoint is not one of the corpus bios.
    """
    corpus = corpus_of(loaded.card)
    if corpus is None or corpus.name != Bios.name:
        raise SpecError(
            f"{loaded.path} was trained on {corpus.name if corpus else 'no corpus'}; give one of bios"
        )
    corpus = Bios(BiosSettings(**corpus.settings.model_dump()))
    network, _ = load_network(loaded.path)
    tokenizer = loaded.tokenizer
    _, others = asked_and_others(corpus, len(corpus.people.everybody))
    parts = parts_of(others, corpus, seed)
    readings = [read(network, tokenizer, each) for each in parts]
    ends = loaded.model.spec.end_token_ids
    position = standard_positions(tokenizer, corpus.layout.step_ends, (), ends)["name"]
    fitted = (
        _of_states(fit((parts[0], readings[0]), (parts[1], readings[1]), places=[_MARKER]), position),
        _of_signals(parts[0], readings[0], position),
    )
    chosen = max(fitted, key=lambda each: float(roc_auc_score(parts[1].strangers, each.doubt(readings[1]))))

    tested, reading = parts[-1], readings[-1]
    said = {each.family: each.doubt(reading) for each in fitted} | {"entropy alone": reading.entropy}
    evidence: dict[str, JsonValue] = {
        "origin": origin,
        "data": {"questions": len(tested.strangers), "people": int(tested.people.max()) + 1},
        "auroc": {
            name: resample(each, tested.strangers, tested.people).metrics().auroc.model_dump()
            for name, each in said.items()
        },
        "answers": {
            "forwards": share_of(answer_forwards(network, tokenizer, corpus, others)).model_dump(),
            "inverse": share_of(answer_inversely(network, tokenizer, corpus, others)).model_dump(),
            "people": len(others),
        },
    }
    calibration = _probabilities(chosen.doubt(readings[2]))
    prompt, completion = tokenizer.encode(parts[0].prompts[0]), tokenizer.encode(f"\n{ANSWER} 1")
    card = probe_card(
        chosen.probe,
        loaded,
        positive="the question is about somebody of whom no text of the training was",
        family=chosen.family,
        thresholds=[_threshold(calibration, parts[2].strangers)],
        evidence=evidence,
        licence="Apache-2.0",
        golden=golden_example(loaded.model, chosen.probe, prompt, completion),
    )
    return StoredProbe(chosen.probe, card)


@dataclass(frozen=True)
class _Fitted:
    """doubt: log-odds that a question is about a stranger, of [questions]."""

    family: str
    probe: Probe
    doubt: Callable[[Reading], Floats]


def _of_states(fitted: StrangerProbe, position: Position) -> _Fitted:
    weight, bias = _folded(fitted.fitted)
    return _Fitted(
        "linear, hidden states", Probe(NAME, position, (fitted.layer,), weight, bias), fitted.doubt
    )


def _of_signals(asked: Questions, reading: Reading, position: Position) -> _Fitted:
    """What the distribution of the answer's first word tells, as one number that can be read as a chance."""
    pipeline: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    pipeline.fit(_signals_of(reading), asked.strangers)
    weight, bias = _folded(pipeline)
    whole = np.zeros((1, len(FEATURES)))
    whole[:, [FEATURES.index(name) for name in _SIGNALS]] = weight
    probe = Probe(NAME, position, (), whole, bias, signals=True)

    def doubt(each: Reading) -> Floats:
        return pipeline.decision_function(_signals_of(each))

    return _Fitted("linear, signals", probe, doubt)


def _signals_of(reading: Reading) -> Floats:
    """[questions, `_SIGNALS`]."""
    return np.stack((reading.entropy, reading.margin), axis=1)


def _folded(pipeline: Any) -> tuple[Floats, Floats]:
    """Weight and bias of a logistic regression, the standardisation before it folded in."""
    scaler, regression = pipeline
    weight = regression.coef_ / scaler.scale_
    return weight, regression.intercept_ - weight @ scaler.mean_


def _threshold(scores: Floats, strangers: Bools) -> Threshold:
    threshold = threshold_at(scores, strangers, _FALSE_ALARMS)
    false_alarms, recall = rates_at(scores, strangers, threshold)
    return Threshold(
        purpose=f"at most {_FALSE_ALARMS:.0%} false alarms on the calibration part",
        false_alarm_rate=false_alarms,
        threshold=threshold,
        recall=recall,
    )


def _probabilities(log_odds: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(0.5 * log_odds)
