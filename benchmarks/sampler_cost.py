"""What does each sampler cost per step?

CPU time of `SamplingChain.choose` with one sampler, as a ratio to top_p's, in turns in one process, at a
large vocabulary and at the embedded model's size, for one row and for 32. Ratios of one run count.

    python benchmarks/sampler_cost.py [--repeats 15] [--threads 1]
"""

import time
from statistics import median
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from app.decoding.sampling.chain import SamplingChain
from app.decoding.sampling.history import History
from app.decoding.sampling.params import SamplingParams

VOCABULARIES = (50_257, 400)
BATCHES = (1, 32)
HISTORY = 256

VARIANTS: dict[str, dict[str, Any]] = {
    "top_p": {"top_p": 0.9},
    "none": {},
    "greedy": {"temperature": 0.0},
    "penalties": {"repetition_penalty": 1.2, "frequency_penalty": 0.1},
    "no_repeat_ngram": {"no_repeat_ngram_size": 3},
    "dry": {"dry_multiplier": 0.8},
    "temperature": {"temperature": 0.7},
    "dynatemp": {"dynatemp_range": 0.5},
    "edt": {"edt_theta": 0.5},
    "quadratic": {"smoothing_factor": 0.2},
    "top_n_sigma": {"top_n_sigma": 1.0},
    "top_k": {"top_k": 40},
    "typical_p": {"typical_p": 0.9},
    "min_p": {"min_p": 0.05},
    "epsilon_cutoff": {"epsilon_cutoff": 3e-4},
    "eta_cutoff": {"eta_cutoff": 3e-4},
    "top_h": {"top_h": 0.4},
    "p_less": {"p_less": True},
    "top_a": {"top_a": 0.2},
    "tfs": {"tfs": 0.95},
    "xtc": {"xtc_probability": 0.5},
    "mirostat 1": {"mirostat": 1},
    "mirostat 2": {"mirostat": 2},
    "adaptive_p": {"adaptive_target": 0.3},
}


def steep_logits(vocab_size: int, batch: int) -> Tensor:
    """As steep as a language model's: probabilities follow Zipf's law, in random order, with some noise."""
    generator = torch.Generator().manual_seed(0)
    zipf = -2.0 * torch.arange(1, vocab_size + 1).float().log()
    order = torch.randperm(vocab_size, generator=generator)
    return zipf[order] + torch.randn(batch, vocab_size, generator=generator)


def seconds(chain: SamplingChain, logits: Tensor) -> float:
    vocab_size = logits.shape[-1]
    histories = [History((), [row % vocab_size for row in range(HISTORY)])] * len(chain.penalised)
    start = time.process_time()
    chain.choose(
        logits,
        [0.5] * len(chain.sampled),
        histories,
        coins=[0.4] * len(chain.tossing),
        states=[{}] * len(chain.remembering),
    )
    return time.process_time() - start


@torch.inference_mode()
def measure(vocab_size: int, batch: int, repeats: int) -> dict[str, float]:
    """Median seconds per step by sampler, measured in turns."""
    logits = steep_logits(vocab_size, batch)
    chains = {
        name: SamplingChain([SamplingParams(**fields)] * batch, logits.device)
        for name, fields in VARIANTS.items()
    }
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for turn in range(repeats + 1):
        for name, chain in chains.items():
            elapsed = seconds(chain, logits)
            if turn:  # the first turn warms up
                times[name].append(elapsed)
    return {name: median(each) for name, each in times.items()}


def main(
    repeats: Annotated[int, typer.Option(help="Turns; medians are reported.")] = 15,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
) -> None:
    """Print each sampler's time as a ratio to top_p's."""
    torch.set_num_threads(threads)
    settings = [(vocab_size, batch) for vocab_size in VOCABULARIES for batch in BATCHES]
    columns = [measure(vocab_size, batch, repeats) for vocab_size, batch in settings]
    table = Table(title=f"Time of a step as a ratio to top_p's, {threads} thread(s)")
    table.add_column("sampler")
    for vocab_size, batch in settings:
        table.add_column(f"V {vocab_size:,}, batch {batch}", justify="right")
    base, *others = VARIANTS
    table.add_row(f"{base} (microseconds)", *(f"{column[base] * 1e6:,.0f}" for column in columns))
    for name in others:
        table.add_row(name, *(f"{column[name] / column[base]:.2f}" for column in columns))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
