"""How fast does `demur pretrain` train, against a plain loop over transformers' GPT2LMHeadModel?

Both train a network of the same depth and width on the same problems, and take turns in one process, round by
round, so that whatever else the machine does hits both alike. The plain loop is what a newcomer would
write: `GPT2LMHeadModel`, `torch.optim.AdamW`, batches padded to their longest document, float32. Only real
tokens count, for both. The last line sets our step's multiplications against the rate of a large matrix
product in the precision that the trainer uses here, measured in the same minutes.

    python benchmarks/training_speed.py [--rounds 6] [--steps 10]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import islice

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import GPT2Config as HubConfig
from transformers import GPT2LMHeadModel

from models.corpora.drawing import problems
from models.pretrain import new_network, stepper
from models.tokenizer import END_OF_TEXT, Tokenizer
from models.training.bfloat16 import has_bfloat16
from models.training.config import PretrainConfig
from models.training.optimisers import Optimisers
from models.training.processes import Processes


def ours(config: PretrainConfig, tokenizer: Tokenizer) -> Callable[[range], int]:
    """The trainer's own step function: from steps to the number of tokens trained on."""
    network = new_network(config, tokenizer)
    processes = Processes(rank=0, count=1, device=torch.device("cpu"))
    train_steps = stepper(config, network, Optimisers(network, config), tokenizer, processes, None)
    return lambda steps: train_steps(steps)[1]


def plain(config: PretrainConfig, tokenizer: Tokenizer, documents_per_step: int) -> Callable[[range], int]:
    """A plain loop: padded batches of the same number of documents per step."""
    network = GPT2LMHeadModel(
        HubConfig(
            vocab_size=tokenizer.vocab_size,
            n_positions=config.context_length,
            n_embd=config.d_model,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    stream = problems(config.corpus, "train", config.seed)
    end = tokenizer.phrase_id(END_OF_TEXT)

    def document() -> Tensor:
        problem = next(stream)
        words = "".join((*problem.problem_phrases, *problem.solution_phrases))
        return torch.tensor([*tokenizer.encode(words), end])

    def train_steps(steps: range) -> int:
        tokens = 0
        for _ in steps:
            documents = [document() for _ in range(documents_per_step)]
            tokens += sum(map(len, documents))
            ids = torch.nn.utils.rnn.pad_sequence(documents, batch_first=True, padding_value=end)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(d) for d in documents], batch_first=True)
            loss = network(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        return tokens

    return train_steps


def gemm_rate(dtype: torch.dtype, size: int = 2048, repeats: int = 8) -> float:
    """Floating-point operations per second of a matrix product of this size."""
    a = torch.randn(size, size, dtype=dtype)
    torch.mm(a, a)
    began = time.perf_counter()
    for _ in range(repeats):
        torch.mm(a, a)
    return repeats * 2 * size**3 / (time.perf_counter() - began)


def flops_per_token(config: PretrainConfig, vocab_size: int) -> float:
    """Operations of the weight matrices, forwards and backwards: 6 per weight. Attention is left out."""
    return 6 * (12 * config.n_layers * config.d_model**2 + vocab_size * config.d_model)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=10, help="steps per round and loop")
    arguments = parser.parse_args()
    console = Console()
    config = PretrainConfig()
    tokenizer = config.corpus.make_tokenizer()
    sample = list(islice(problems(config.corpus, "train", 0), 2000))
    mean = sum(len(p.problem_phrases) + len(p.solution_phrases) + 1 for p in sample) / len(sample)
    loops = {
        "demur pretrain": ours(config, tokenizer),
        "plain loop, transformers": plain(
            config, tokenizer, round(0.95 * config.rows * config.row_length / mean)
        ),
    }
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    gemm: list[float] = []
    dtype = torch.bfloat16 if has_bfloat16(torch.device("cpu")) else torch.float32
    with console.status("compiling and warming up"):
        for loop in loops.values():
            loop(range(2))
    for index in range(arguments.rounds):
        with console.status(f"round {index + 1} of {arguments.rounds}"):
            for name, loop in loops.items():
                began = time.perf_counter()
                tokens = loop(range(2 + index * arguments.steps, 2 + (index + 1) * arguments.steps))
                speeds[name].append(tokens / (time.perf_counter() - began))
            gemm.append(gemm_rate(dtype))

    table = Table(
        title=f"Training, {config.n_layers} layers x {config.d_model}, {torch.get_num_threads()} threads"
    )
    for heading in ("loop", "tokens/s, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "loop" else "right")
    for name, values in speeds.items():
        table.add_row(name, *(f"{f(values):,.0f}" for f in (statistics.median, min, max)))
    console.print(table)
    ratios = [a / b for a, b in zip(*speeds.values(), strict=True)]
    middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
    console.print(f"ratio by round: median {middle:.2f}, {low:.2f} to {high:.2f} (aim: 2)")
    rate = statistics.median(gemm)
    used = statistics.median(speeds["demur pretrain"]) * flops_per_token(config, tokenizer.vocab_size)
    console.print(
        f"matrix product in {dtype}: {rate / 1e9:.0f} GFLOP/s; products with our weights: "
        f"{used / 1e9:.0f} GFLOP/s, {used / rate:.0%} of it"
    )


if __name__ == "__main__":
    main()
