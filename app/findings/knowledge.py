"""Models that are told of people and asked about them: how they are trained, asked and probed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from app.compare.resampling import resampled_means
from app.compare.results import Estimate
from app.compare.statistics import interval, wilson
from app.findings.finding import Size
from app.findings.networks import computed, tokens_of_texts
from app.findings.telling import Floats
from models.corpora.bios.biography import Form, NamePlace, Order, forward_question, inverse_question
from models.corpora.bios.bios import Bios, BiosSettings
from models.corpora.bios.people import Person
from models.corpora.bios.values import ATTRIBUTES
from models.corpora.corpus import judge
from models.evaluate import solve_greedily
from models.gpt2 import GPT2
from models.tokenizer import Tokenizer
from models.training.config import PretrainConfig

ASKED = 0.5
"""Share of the people whom training asks about; the others are the test."""
_BATCH = 128


@dataclass(frozen=True)
class World:
    """How much there is to know, and how large the network is.

    exposures: how often each person is met in biographies. rounds: how often fine-tuning asks each of its
    questions. tested: people of whom answers are counted, where not all are.
    """

    people: int
    exposures: int
    rounds: int
    width: int
    layers: int
    tested: int

    @property
    def block_parameters(self) -> int:
        """Of the matrices of its blocks, which the cost of training goes by."""
        return 12 * self.layers * self.width**2


WORLDS: dict[Size, World] = {
    "quick": World(people=400, exposures=3, rounds=1, width=32, layers=2, tested=20),
    "full": World(people=1000, exposures=100, rounds=20, width=64, layers=3, tested=300),
}


def pretraining(
    world: World,
    seed: int,
    form: Form,
    order: Order,
    name_place: NamePlace = "first",
    questions: float = 0.0,
    inverse: bool = False,
) -> PretrainConfig:
    """A run whose biographies show each person `exposures` times, questions about half of them beside it."""
    settings = BiosSettings(
        people=world.people,
        world=seed,
        form=form,
        order=order,
        name_place=name_place,
        questions=questions,
        inverse_trained=inverse,
        asked=ASKED,
    )
    config = PretrainConfig(
        corpus=Bios(settings),
        d_model=world.width,
        n_layers=world.layers,
        n_heads=4,
        context_length=160,
        rows=8,
        row_length=160,
        prompt_weight=0.0,
        op_start=1,
        validate_tokens=10**9,
        validate_problems=1,
        seed=seed,
        tokens=1,
        decay_tokens=0,
    )
    return _with_length(config, world.people * world.exposures / (1 - questions))


def fine_tuning(world: World, before: PretrainConfig, weights: str) -> PretrainConfig:
    """The run that follows a pretraining: questions alone, at a third of its rates."""
    settings = corpus_of(before).settings.model_copy(update={"questions": 1.0})
    config = replace(
        before,
        corpus=Bios(settings),
        muon_rate=before.muon_rate / 3,
        adamw_rate=before.adamw_rate / 3,
        init_weights=weights,
        tokens=1,
        decay_tokens=0,
    )
    return _with_length(config, world.people * ASKED * len(ATTRIBUTES) * world.rounds)


def _with_length(config: PretrainConfig, texts: float) -> PretrainConfig:
    """So many texts; the rate falls over the last 70% of the run."""
    tokens = tokens_of_texts(config, texts)
    return replace(config, tokens=tokens, decay_tokens=round(0.7 * tokens))


def corpus_of(config: PretrainConfig) -> Bios:
    """The corpus of a run of these."""
    return Bios(BiosSettings(**config.corpus.settings.model_dump()))


def asked_and_others(corpus: Bios, count: int) -> tuple[list[Person], list[Person]]:
    """The first so many people whom training asked about, and as many of those whom it did not."""
    people = corpus.people.everybody
    asked = [person for person in people if corpus.is_asked(person)]
    others = [person for person in people if not corpus.is_asked(person)]
    return asked[:count], others[:count]


def answer_forwards(network: GPT2, tokenizer: Tokenizer, corpus: Bios, people: Sequence[Person]) -> Floats:
    """[people, attributes], 1 where the answer is right, whole and greedy."""
    prompts = [forward_question(person.name, each) for person in people for each in ATTRIBUTES]
    return _answers(network, tokenizer, corpus, prompts).reshape(len(people), len(ATTRIBUTES))


def answer_inversely(network: GPT2, tokenizer: Tokenizer, corpus: Bios, people: Sequence[Person]) -> Floats:
    """[people, 1], 1 where the whole name that belongs to all values is right."""
    prompts = [inverse_question(person) for person in people]
    return _answers(network, tokenizer, corpus, prompts)[:, None]


def _answers(network: GPT2, tokenizer: Tokenizer, corpus: Bios, prompts: Sequence[str]) -> Floats:
    decoder = computed(network, tokenizer.end_token_id)
    right: list[bool] = []
    for start in range(0, len(prompts), _BATCH):
        chunk = prompts[start : start + _BATCH]
        solutions = solve_greedily(decoder, tokenizer, chunk)
        right += [
            judge(corpus, prompt, solution).correct for prompt, solution in zip(chunk, solutions, strict=True)
        ]
    return np.array(right, dtype=np.float64)


def probe_names(
    network: GPT2,
    tokenizer: Tokenizer,
    fitted_on: Sequence[Person],
    tested_on: Sequence[Person],
) -> Floats:
    """[people, attributes], 1 where a linear probe finds the first word of a value at the end of the name.

    It reads the last layer where nothing but the full name was read, and is a logistic regression for each
    attribute, on standardised states.
    """
    fit, test = (_states(network, tokenizer, people) for people in (fitted_on, tested_on))
    right = np.zeros((len(tested_on), len(ATTRIBUTES)))
    with threadpool_limits(1):
        for number, attribute in enumerate(ATTRIBUTES):
            wanted, truth = (
                [person.values[attribute].split(" ")[0] for person in people]
                for people in (fitted_on, tested_on)
            )
            probe: Any = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
            probe.fit(fit, wanted)
            right[:, number] = probe.predict(test) == np.array(truth)
    return right


def _states(network: GPT2, tokenizer: Tokenizer, people: Sequence[Person]) -> Floats:
    """[people, width] at the last token of each name."""
    decoder, layer = computed(network, tokenizer.end_token_id), network.config.n_layers
    with torch.inference_mode():
        states = [
            decoder.score(tokenizer.encode(person.name), [layer]).hidden[layer][-1] for person in people
        ]
    return torch.stack(states).double().numpy()


def share_of(right: Floats) -> Estimate:
    """Share of right answers, with its interval over people: [people, answers of each], 0 or 1.

    As wide as Wilson's at the least: where all are right or none, resampling people shows no difference.
    """
    low, high = wilson(int(right.sum()), right.size)
    by_person = interval(float(right.mean()), resampled_means(right.mean(axis=1, keepdims=True))[:, 0])
    return Estimate(
        value=by_person.value, low=min(low, by_person.low or 0.0), high=max(high, by_person.high or 0.0)
    )


def less(first: Estimate, second: Estimate) -> Estimate:
    """The difference of shares of two models, by the intervals of both (Newcombe, 1998)."""
    value = first.value - second.value
    (first_low, first_high), (second_low, second_high) = _bounds(first), _bounds(second)
    return Estimate(
        value=value,
        low=value - hypot(first.value - first_low, second_high - second.value),
        high=value + hypot(first_high - first.value, second.value - second_low),
    )


def _bounds(share: Estimate) -> tuple[float, float]:
    return (0.0 if share.low is None else share.low, 1.0 if share.high is None else share.high)
