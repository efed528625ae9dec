"""No sampler looks at what it computed: on another device than the CPU it would wait for it there."""

from typing import Any

import pytest
import torch

from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.history import History
from app.decoding.sampling.params import SamplingParams
from tests.app.decoding.sampling.examples import EXAMPLES

LEARNING = {"mirostat", "adaptive_p"}  # they remember what was drawn, on the host
CASES = [fields for name, examples in EXAMPLES.items() for fields in examples if name not in LEARNING]


@pytest.mark.parametrize("fields", CASES, ids=map(str, CASES))
def test_a_chain_is_applied_to_tensors_that_nobody_can_read(fields: dict[str, Any]) -> None:
    nowhere = torch.device("meta")  # reading from it raises
    chain = SamplingChain([SamplingParams(**fields)] * 3, nowhere)
    chosen = chain.choose(
        torch.empty(3, 500, device=nowhere),
        uniforms=[0.5] * len(chain.sampled),
        histories=[History((1, 2, 3), (4, 5, 4))] * len(chain.penalised),
        coins=[0.5] * len(chain.tossing),
    )
    assert chosen.ids.shape == (3,)
    assert chosen.ids.is_meta
