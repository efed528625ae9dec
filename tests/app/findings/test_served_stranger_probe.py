"""The embedded model of bios with its probe for strangers, and what the probe refuses to be made of."""

from random import Random

import numpy as np
import pytest

from app.findings.served_stranger_probe import NAME, served_stranger_probe
from app.findings.strangers import Questions, questions
from app.settings import EMBEDDED_CHECKPOINT, EMBEDDED_PROBES
from models import checkpoint
from models.checkpoint import LoadedCheckpoint
from models.corpora.bios.biography import ANSWER
from models.corpora.bios.bios import Bios, BiosSettings
from models.corpora.registry import corpus_of
from models.errors import SpecError
from probes import store
from probes.reference_scores import score_text

pytestmark = pytest.mark.artifact


@pytest.fixture(scope="module")
def loaded() -> LoadedCheckpoint:
    return checkpoint.load(EMBEDDED_CHECKPOINT.parent / "bios")


def asked(loaded: LoadedCheckpoint) -> Questions:
    corpus = corpus_of(loaded.card)
    assert corpus is not None
    bios = Bios(BiosSettings(**corpus.settings.model_dump()))
    others = [person.name for person in bios.people.everybody if not bios.is_asked(person)]
    return questions(Random(0).sample(others, 20), bios, 999, each=2)


def test_stored_probe_doubts_strangers_and_not_people_before_the_first_word(loaded: LoadedCheckpoint) -> None:
    (stored,) = store.load_all(EMBEDDED_PROBES / "bios", loaded)
    assert stored.probe.name == NAME
    (threshold,) = stored.card.thresholds
    assert threshold.false_alarm_rate <= 0.05, "as its purpose says"
    about = asked(loaded)
    completion = loaded.tokenizer.encode(f"\n{ANSWER} 1")
    read = [
        score_text(loaded.model, loaded.tokenizer.encode(prompt), completion, [stored.probe])
        for prompt in about.prompts
    ]
    assert all([token for token, scores in enumerate(each) if scores] == [2] for each in read)
    scores = np.array([each[2][NAME] for each in read])
    assert scores[about.strangers].mean() > 0.6
    assert scores[~about.strangers].mean() < 0.4


def test_a_model_of_another_corpus_is_refused() -> None:
    with pytest.raises(SpecError, match="give one of bios"):
        served_stranger_probe(checkpoint.load(EMBEDDED_CHECKPOINT), 0, {})
