from collections.abc import Callable
from random import Random

import pytest
import torch
from torch import Tensor

from models import checkpoint
from models.corpora.igsm.graph import draw_problem
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.text import problem_phrases, solution_phrases
from models.gpt2 import GPT2, Positions
from models.pretrain import new_network
from models.tokenizer import Tokenizer
from models.training.config import PretrainConfig
from tests.models.hub import Reference

Attend = Callable[[list[int]], list[Tensor]]


def config(positions: Positions = "rotary", seed: int = 0) -> PretrainConfig:
    return PretrainConfig(positions=positions, n_layers=2, seed=seed)


@pytest.fixture(scope="module")
def network(tokenizer: Tokenizer) -> GPT2:
    return new_network(config(), tokenizer)


@pytest.fixture(scope="module")
def attend(network: GPT2, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Attend:
    """Token ids to the attention weights (heads, T, T) of each layer, as transformers computes them."""
    folder = tmp_path_factory.mktemp("initial") / "network"
    checkpoint.save(folder, network, tokenizer, {})
    reference = Reference.load(folder).network

    def weights(ids: list[int]) -> list[Tensor]:
        with torch.inference_mode():
            output = reference(torch.tensor([ids]), output_attentions=True)
        return [attention[0] for attention in output.attentions]

    return weights


def drawn(tokenizer: Tokenizer, seed: int) -> tuple[list[int], list[int]]:
    """Token ids of a problem and of its solution."""
    problem = draw_problem(Random(seed), IgsmSpec(), 4, 2)
    return (
        [tokenizer.phrase_id(phrase) for phrase in problem_phrases(problem)],
        [tokenizer.phrase_id(phrase) for phrase in solution_phrases(problem)],
    )


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_weights_are_finite_and_decided_by_the_seed(tokenizer: Tokenizer, positions: Positions) -> None:
    torch.manual_seed(1)
    first = new_network(config(positions), tokenizer).state_dict()
    torch.manual_seed(2)
    second = new_network(config(positions), tokenizer).state_dict()
    other = new_network(config(positions, seed=1), tokenizer).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in first.values())
    assert not torch.equal(first["token_embedding.weight"], other["token_embedding.weight"])
    assert not torch.equal(first["blocks.0.qkv.weight"], other["blocks.0.qkv.weight"])


def test_first_heads_look_a_fixed_distance_back(attend: Attend, tokenizer: Tokenizer) -> None:
    problem, solution = drawn(tokenizer, seed=0)
    distances: list[int] = []
    for head in attend(problem + solution)[0][:4]:
        by_distance = [float(head.diagonal(-distance).mean()) for distance in range(8)]
        distances.append(max(range(8), key=by_distance.__getitem__))
        assert by_distance[distances[-1]] > 0.9
        # Near the start of a text the token that it looks for may be missing.
        assert head[8:].argmax(dim=1).tolist() == [row - distances[-1] for row in range(8, len(head))]
    assert sorted(distances) == [1, 2, 3, 4]


def test_second_heads_find_what_followed_the_same_word(attend: Attend, tokenizer: Tokenizer) -> None:
    """From a subject in the solution to what follows `are` in the sentence that defines it."""
    subjects = {tokenizer.phrase_id(name.capitalize()) for name in IgsmSpec().names}
    found: list[Tensor] = []
    for seed in range(10):
        problem, solution = drawn(tokenizer, seed)
        ids = problem + solution
        weights = attend(ids)[1]
        places = [place for place in range(len(problem), len(ids)) if ids[place] in subjects]
        found += [weights[:, place, problem.index(ids[place]) + 2] * (place + 1) for place in places]
    # Attention spread evenly over the text would be 1.
    assert torch.stack(found).mean(dim=0).max() > 5


def test_forms_of_a_word_begin_alike(network: GPT2, tokenizer: Tokenizer) -> None:
    embedding = torch.nn.functional.normalize(network.token_embedding.weight.detach(), dim=1)
    names = IgsmSpec().names
    subjects = embedding[[tokenizer.phrase_id(name.capitalize()) for name in names]]
    operands = embedding[[tokenizer.phrase_id(f" {name}") for name in names]]
    likeness = subjects @ operands.T
    assert likeness.argmax(dim=1).tolist() == list(range(len(names)))
    assert likeness.diagonal().mean() > 0.6
    assert likeness.mean().abs() < 0.1
