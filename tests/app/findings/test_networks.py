"""Checkpoints that are taken over, networks with another tokenizer, and folders that one process works in."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.findings.finding import Bench
from app.findings.networks import trained
from app.findings.new_words import with_words_of
from app.findings.running import run
from models import checkpoint
from models.corpora.registry import card_of, corpus_named
from models.errors import ArtifactError
from models.gpt2 import GPT2, GPT2Config
from tests.app.findings.test_running import toy
from tests.models.runs import CONFIG
from tests.models.tiny import randomise


def test_a_checkpoint_of_the_same_run_is_taken_over_and_no_other(tmp_path: Path) -> None:
    network = trained(CONFIG, tmp_path / "there", Bench(tmp_path))
    card = {"name": "it", "corpus": card_of(CONFIG.corpus), "training": {"config": CONFIG.to_card()}}
    folder = tmp_path / "here" / "checkpoint"
    checkpoint.save(folder, network, CONFIG.corpus.make_tokenizer(), card)
    quieter = replace(CONFIG, validate_problems=3)  # decides nothing
    taken = trained(quieter, tmp_path / "here", Bench(tmp_path))
    for name, tensor in network.state_dict().items():
        assert torch.equal(taken.state_dict()[name], tensor.to(torch.bfloat16).float())
    assert not list((tmp_path / "here").glob("state*"))
    with pytest.raises(ArtifactError, match="is not what the run of this finding ends with"):
        trained(replace(CONFIG, seed=4), tmp_path / "here", Bench(tmp_path))


def test_a_network_says_the_same_with_the_words_that_it_had() -> None:
    before = corpus_named("igsm").make_tokenizer()
    after = corpus_named("retry").make_tokenizer()
    network = GPT2(GPT2Config(before.vocab_size, 64, 16, 2, 2))
    randomise(network, 0)
    moved = with_words_of(network, before, after)
    text = "Kites are 5 more than tiles. How many kites?"

    def said(of: GPT2, ids: list[int]) -> torch.Tensor:
        row = torch.tensor([ids])
        with torch.inference_mode():
            return of(row, torch.arange(len(ids))[None], torch.zeros_like(row))[0]

    there, here = said(network, before.encode(text)), said(moved, after.encode(text))
    for token in range(before.vocab_size):
        word = before.token_bytes(token)
        same = [each for each in range(after.vocab_size) if after.token_bytes(each) == word]
        assert len(same) == 1
        assert torch.allclose(there[:, token], here[:, same[0]], atol=1e-6)
    back = moved.token_embedding.weight[after.phrase_id(" BACK")]
    assert torch.allclose(back, network.token_embedding.weight.mean(dim=0))


def test_a_folder_is_one_process_s_at_a_time(tmp_path: Path) -> None:
    plain = toy(lambda _name, _seed, _bench: {"number": 0})

    def meddle(_name: str, _seed: int, _bench: Bench) -> dict[str, int]:
        with pytest.raises(ArtifactError, match="another process works in"):
            run(plain, "full", [0], tmp_path)
        return {"number": 1}

    assert run(toy(meddle), "full", [0], tmp_path)[0]["second"]["number"] == 1
    assert run(plain, "full", [0], tmp_path)[0]["second"]["number"] == 1  # kept, and free again
