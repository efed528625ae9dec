"""Does a network know that it does not know somebody: people whom it was told of, and strangers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from random import Random
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from app.decoding.calibration.risk import choose, count
from app.findings.networks import computed
from models.corpora.bios.biography import ANSWER, forward_question
from models.corpora.bios.bios import Bios
from models.corpora.bios.people import Person
from models.corpora.bios.values import ATTRIBUTES
from models.corpora.corpus import judge
from models.evaluate import solve_greedily
from models.gpt2 import GPT2
from models.tokenizer import Tokenizer
from probes.arrays import Bools, Floats, Ints

PLACES = ("question mark", "answer marker")
"""Where a probe may read: both before a word of the answer."""
PARTS = (0.3, 0.1, 0.3)
"""Of the people whom training did not ask about: fitted on, held out, calibrated on; the rest is tested."""
CALIBRATED = 2
"""Which of the parts is asked one question a person: for `abstain` they have to be independent."""
_BATCH = 128
_GRID = 50
_DELTA = 0.1


@dataclass(frozen=True)
class Questions:
    """Questions for attributes, as many of people of the corpus as of strangers.

    strangers, people: [questions], whether it is about a stranger, and a number for whom it is about.
    """

    prompts: Sequence[str]
    strangers: Bools
    people: Ints


@dataclass(frozen=True)
class Reading:
    """What a network is like at a question: [questions, places, layers, width], and [questions] of the first
    token of the answer."""

    states: Any
    entropy: Floats
    margin: Floats


def questions(names: Sequence[str], corpus: Bios, seed: int, each: int = len(ATTRIBUTES)) -> Questions:
    """About these people and as many strangers, `each` attributes of everybody, drawn where not all."""
    random = Random(f"strangers/{seed}")
    everybody = [*names, *(corpus.people.stranger(random) for _ in names)]
    asked = [
        (number, forward_question(name, attribute))
        for number, name in enumerate(everybody)
        for attribute in random.sample(ATTRIBUTES, each)
    ]
    people = np.array([number for number, _ in asked], dtype=np.int64)
    return Questions([prompt for _, prompt in asked], people >= len(names), people)


def parts_of(people: Sequence[Person], corpus: Bios, seed: int) -> list[Questions]:
    """Questions about these people and strangers, by part: for fitting, held out, for calibrating, tested."""
    ends = [0, *np.cumsum([round(share * len(people)) for share in PARTS]).tolist(), len(people)]
    names = [[person.name for person in people[low:high]] for low, high in pairwise(ends)]
    return [
        questions(its, corpus, seed * len(names) + part, each=1 if part == CALIBRATED else len(ATTRIBUTES))
        for part, its in enumerate(names)
    ]


@torch.inference_mode()
def read(network: GPT2, tokenizer: Tokenizer, asked: Questions) -> Reading:
    """Read every question with the marker of its answer."""
    decoder = computed(network, tokenizer.end_token_id)
    layers = list(range(network.config.n_layers + 1))
    states: list[torch.Tensor] = []
    entropy: list[float] = []
    margin: list[float] = []
    for prompt in asked.prompts:
        ids = tokenizer.encode(f"{prompt}\n{ANSWER}")
        output = decoder.score(ids, layers)
        states.append(torch.stack([output.hidden[layer][[-3, -1]] for layer in layers], dim=1).float())
        log_probs = output.logits[-1].double().log_softmax(-1)
        entropy.append(float(-(log_probs.exp() * log_probs).sum()))
        first, second = log_probs.exp().topk(2).values.tolist()
        margin.append(first - second)
    return Reading(torch.stack(states).numpy(), np.array(entropy), np.array(margin))


@dataclass(frozen=True)
class StrangerProbe:
    """A logistic regression on standardised states, at the place and layer that did best when held out."""

    place: int
    layer: int
    fitted: Any

    def doubt(self, reading: Reading) -> Floats:
        """[questions], log-odds that it is about a stranger."""
        return self.fitted.decision_function(reading.states[:, self.place, self.layer])


def fit(
    known: tuple[Questions, Reading],
    held_out: tuple[Questions, Reading],
    places: Sequence[int] = range(len(PLACES)),
) -> StrangerProbe:
    """Fit a probe at each of these places, numbers of `PLACES`, and every layer, and keep the best."""
    best: tuple[float, StrangerProbe] | None = None
    with threadpool_limits(1):
        for place in places:
            for layer in range(known[1].states.shape[2]):
                fitted: Any = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
                fitted.fit(known[1].states[:, place, layer], known[0].strangers)
                probe = StrangerProbe(place, layer, fitted)
                found = float(roc_auc_score(held_out[0].strangers, probe.doubt(held_out[1])))
                if best is None or found > best[0]:
                    best = found, probe
    assert best is not None
    return best[1]


def wrong_answers(network: GPT2, tokenizer: Tokenizer, corpus: Bios, asked: Questions) -> Bools:
    """[questions], whether the greedy answer is not right, as any about a stranger."""
    decoder = computed(network, tokenizer.end_token_id)
    wrong: list[bool] = []
    for start in range(0, len(asked.prompts), _BATCH):
        chunk = asked.prompts[start : start + _BATCH]
        solutions = solve_greedily(decoder, tokenizer, chunk)
        wrong += [
            not judge(corpus, prompt, solution).correct
            for prompt, solution in zip(chunk, solutions, strict=True)
        ]
    return np.array(wrong)


def threshold_that_keeps(level: float, doubt: Floats, wrong: Bools) -> float:
    """The threshold of doubt that `abstain` would use: the share of wrong answers among those given is at
    most `level`, but for one draw of these (n,) independent questions in ten. -inf where none can be kept.

    As `demur calibrate` does it: the grid and the order of the tests come from one half, the tests from the
    other (docs/abstain.md).
    """
    half = np.arange(len(doubt)) % 2 == 0
    grid = np.unique(np.quantile(doubt[half], np.linspace(0, 1, _GRID))).tolist()
    tuning, tested = (count(doubt[part].tolist(), wrong[part].tolist(), grid) for part in (half, ~half))
    chosen = choose(tuning, tested, "selective", level, _DELTA)
    return -inf if chosen is None else float(grid[chosen.index])
