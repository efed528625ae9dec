"""The same contract over llama.cpp, whose cache forks and rewinds by sequences.

But for one clause: its logits depend in their fifth digit on what else is in the pass, which shows in some
numbers of a trace, so the same seed gives the same answer only in the same company. The default run has
strategies that fork, rewind, force tokens and look at candidates; the slow one, all."""

from collections.abc import Iterator
from itertools import product

import pytest
from _pytest.mark.structures import ParameterSet

from app.engine.engine import Engine
from app.engine.types import EngineLimits
from tests.app.decoding.calibrated import calibration, with_risk
from tests.app.decoding.strategies import test_contract as contract
from tests.app.decoding.strategies.test_contract import KINDS, PROBES
from tests.app.decoding.strategies.test_contract_of_a_llama import ALIKE, CLAUSES, QUICK, Clause
from tests.app.engine.tiny import END, VOCABULARY, TinyCheckpoint
from tests.models.architectures import network_of
from tests.models.gguf.writing import needs_llama_cpp, tokens_of, write_gguf

pytestmark = needs_llama_cpp


def cases() -> Iterator[ParameterSet]:
    """Every other clause for every strategy; of the quick ones, the trace is part of the default run."""
    for kind, clause in product(KINDS, CLAUSES[1:]):
        if (kind, clause) == ALIKE:
            continue
        quick = kind in QUICK and clause is contract.test_the_trace_agrees_with_the_text
        marks = () if quick else pytest.mark.slow
        yield pytest.param(kind, clause, marks=marks, id=f"{kind}-{clause.__name__[5:25]}")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    from models.gguf.opening import open_gguf

    folder = tmp_path_factory.mktemp("gguf")
    network = network_of("llama", vocab_size=len(VOCABULARY), eos_token_id=END)
    network.get_output_embeddings().weight.mul_(0.5)  # several tokens are likely
    write_gguf(folder / "tiny.gguf", network, tokens=tokens_of(len(VOCABULARY)), ends=(END, END))
    measured = with_risk(calibration(), (2.5, 3.0, 3.5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "caches"))
        model = open_gguf(folder / "tiny.gguf", "cpu", "auto").model
    with Engine(TinyCheckpoint(model), EngineLimits(max_rows=32), PROBES, measured) as engine:
        yield engine


@pytest.mark.parametrize(("kind", "clause"), [*cases()])
def test_contract(engine: Engine, kind: str, clause: Clause) -> None:
    clause(engine, kind)
