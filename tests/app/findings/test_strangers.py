"""Questions about strangers, what is read at them, and the threshold that keeps a level."""

from math import inf

import numpy as np
import pytest

from app.findings.strangers import fit, questions, read, threshold_that_keeps, wrong_answers
from models.corpora.bios.bios import Bios, BiosSettings
from models.decoder import Decoder
from models.gpt2 import GPT2, GPT2Config
from tests.models.tiny import randomise

CORPUS = Bios(BiosSettings(people=100))
TOKENIZER = CORPUS.make_tokenizer()


def network() -> GPT2:
    made = GPT2(GPT2Config(TOKENIZER.vocab_size, 64, 16, 2, 2))
    randomise(made, 0)
    return made.eval()


def test_as_many_strangers_are_asked_about_as_people_and_nobody_has_their_names() -> None:
    names = [person.name for person in CORPUS.people.everybody[:20]]
    asked = questions(names, CORPUS, seed=0)
    assert len(asked.prompts) == 2 * 20 * 5
    about = {
        prompt.split(":")[0]
        for prompt, stranger in zip(asked.prompts, asked.strangers, strict=True)
        if stranger
    }
    assert len(about) == 20
    assert not about & CORPUS.people.by_name.keys()
    assert {prompt.split(":")[0] for prompt in asked.prompts} - about == set(names)
    assert len(np.unique(asked.people)) == 40
    assert len(questions(names, CORPUS, seed=0, each=1).prompts) == 40


def test_states_are_those_before_the_answer_and_signals_those_of_its_first_word() -> None:
    asked = questions([person.name for person in CORPUS.people.everybody[:2]], CORPUS, seed=0)
    its = read(network(), TOKENIZER, asked)
    ids = TOKENIZER.encode(f"{asked.prompts[3]}\nAnswer:")
    assert TOKENIZER.decode([ids[-3]]) == "?"
    output = Decoder(network(), "random").score(ids, [1])
    np.testing.assert_allclose(its.states[3, 0, 1], output.hidden[1][-3], atol=1e-5)
    np.testing.assert_allclose(its.states[3, 1, 1], output.hidden[1][-1], atol=1e-5)
    probabilities = output.logits[-1].double().softmax(-1).numpy()
    assert its.entropy[3] == pytest.approx(-(probabilities * np.log(probabilities)).sum())
    assert its.margin[3] == pytest.approx(np.subtract(*np.sort(probabilities)[:-3:-1]))


def test_a_probe_finds_what_there_is_to_find() -> None:
    people = CORPUS.people.everybody
    parts = [
        questions([each.name for each in people[low:high]], CORPUS, 0) for low, high in ((0, 30), (30, 50))
    ]
    readings = [read(network(), TOKENIZER, each) for each in parts]
    for part, reading in zip(parts, readings, strict=True):
        reading.states[:, 1, 2, 0] += 50 * part.strangers  # planted
    probe = fit((parts[0], readings[0]), (parts[1], readings[1]))
    assert (probe.place, probe.layer) == (1, 2)
    doubt = probe.doubt(readings[1])
    assert doubt[parts[1].strangers].min() > doubt[~parts[1].strangers].max()


def test_every_answer_about_a_stranger_is_wrong() -> None:
    asked = questions([person.name for person in CORPUS.people.everybody[:3]], CORPUS, 0, each=1)
    assert wrong_answers(network(), TOKENIZER, CORPUS, asked)[asked.strangers].all()


def test_a_threshold_keeps_its_level_where_one_can_be_kept() -> None:
    random = np.random.default_rng(0)
    wrong = random.random(400) < 0.5
    doubt = np.where(wrong, 1.0, 0.0) + random.random(400) * 0.5
    threshold = threshold_that_keeps(0.1, doubt, wrong)
    answered = doubt <= threshold
    assert answered.mean() > 0.4
    assert wrong[answered].mean() <= 0.1
    assert threshold_that_keeps(0.1, random.random(400), wrong) == -inf
