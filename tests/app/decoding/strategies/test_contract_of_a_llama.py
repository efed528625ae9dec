"""The same contract over a network of transformers, whose rows run in one pass over a token pool.

The default run has strategies that fork, rewind, force tokens and look at candidates; the slow one, all."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest
from _pytest.mark.structures import ParameterSet

from app.engine.engine import Engine
from app.engine.types import EngineLimits
from models.hub.batched import BatchedModel
from models.hub.choosing import hub_model
from tests.app.decoding.calibrated import calibration, with_risk
from tests.app.decoding.strategies import test_contract as contract
from tests.app.decoding.strategies.test_contract import KINDS, PROBES
from tests.app.engine.tiny import END, VOCABULARY, TinyCheckpoint
from tests.models.architectures import network_of

Clause = Callable[[Engine, str], None]

CLAUSES: tuple[Clause, ...] = (
    contract.test_the_same_seed_gives_the_same_answer_alone_and_among_32_others,
    contract.test_one_object_serves_many_texts_and_is_not_changed_by_them,
    contract.test_the_trace_agrees_with_the_text,
    contract.test_tokens_are_counted_as_the_engine_counts_its_rows,
    contract.test_choices_of_one_request_are_texts_of_their_own,
    contract.test_a_client_that_leaves_frees_every_slot,
)
ALIKE = ("entropix", contract.test_choices_of_one_request_are_texts_of_their_own)
"""Here every token is open (entropy over 5 of 5.6 nats) and none stands out, so it pauses at each and takes
the best of its lookahead: the choices are the same."""
QUICK = frozenset({"beam", "early_answer", "entropy_gated_branching", "retry_upon_regret"})


def cases() -> Iterator[ParameterSet]:
    """Every clause for every strategy; of the quick ones, the first clause is part of the default run."""
    for kind, clause in product(KINDS, CLAUSES):
        if (kind, clause) == ALIKE:
            continue
        quick = kind in QUICK and clause is CLAUSES[0]
        marks = () if quick else pytest.mark.slow
        yield pytest.param(kind, clause, marks=marks, id=f"{kind}-{clause.__name__[5:25]}")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    network = network_of("llama", vocab_size=len(VOCABULARY), eos_token_id=END)
    network.get_output_embeddings().weight.mul_(0.5)  # several tokens are likely
    model = hub_model(network, "llama")
    assert isinstance(model, BatchedModel)
    measured = with_risk(calibration(), (2.5, 3.0, 3.5))
    with Engine(TinyCheckpoint(model), EngineLimits(max_rows=32), PROBES, measured) as engine:
        yield engine


@pytest.mark.parametrize(("kind", "clause"), [*cases()])
def test_contract(engine: Engine, kind: str, clause: Clause) -> None:
    clause(engine, kind)
