"""The trainer: fresh problems on the fly, on a CPU, one GPU, or several processes under `torchrun`.

A run lives in a folder: `state.safetensors` (weights, optimisers, progress; replaced atomically), `loss.csv`
and `validation.csv`. Started again on the same folder it goes on from the last state and ends with the same
weights as an undisturbed run, since batches, schedule and initial weights are functions of the config and the
step."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from models.corpora.corpus import Corpus, DrawnProblem
from models.corpora.drawing import draw_set
from models.decoder import Decoder
from models.errors import SpecError
from models.evaluate import OpResult, evaluate
from models.gpt2 import GPT2, GPT2Config
from models.tokenizer import Tokenizer
from models.training.config import PretrainConfig
from models.training.data import batch_source
from models.training.initialise import initialise
from models.training.log import LossRow, TrainingLog, ValidationRow
from models.training.loss import loss_function
from models.training.optimisers import Optimisers
from models.training.processes import Processes, join
from models.training.resume import resume
from models.training.state import Progress, save_state

STATE_FILE = "state.safetensors"
LOG_STEPS = 20
STATE_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Observer:
    """What is told to whoever watches a run; every callback may be left out."""

    started: Callable[[PretrainConfig, Progress], None] = lambda _config, _progress: None
    stepped: Callable[[LossRow], None] = lambda _row: None
    validated: Callable[[int, list[OpResult]], None] = lambda _step, _results: None


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """What a run ends with."""

    network: GPT2
    tokenizer: Tokenizer
    config: PretrainConfig
    progress: Progress
    is_main: bool


def pretrain(
    config: PretrainConfig,
    folder: Path,
    device: str = "auto",
    compile_network: bool | None = None,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    initial: GPT2 | None = None,
) -> TrainedModel:
    """Run, or go on with, a pretraining run.

    Args:
        folder: where the run lives; made if needed. A state found there is resumed.
        device: `auto`, `cpu` or `cuda`.
        compile_network: use torch.compile; by default where a C++ compiler or CUDA is found.
        should_stop: asked every `LOG_STEPS` steps; a run that stops early has saved its state.
        initial: network whose weights the run starts with; left as it is. `config.init_weights` names it.

    Raises:
        ArtifactError: the folder holds the state of a run with another config.
        SpecError: rows that do not divide among the processes, a corpus too small to validate on, or an
            initial network of another shape.
    """
    observer = observer or Observer()
    with join(device) as processes:
        if config.rows % processes.count:
            raise SpecError(
                f"rows is {config.rows}; it must be a multiple of the {processes.count} processes"
            )
        return _run(config, folder, processes, initial, compile_network, observer, should_stop)


def new_network(config: PretrainConfig, tokenizer: Tokenizer) -> GPT2:
    """The network at step 0."""
    network = GPT2(
        GPT2Config(
            vocab_size=tokenizer.vocab_size,
            context_length=config.context_length,
            d_model=config.d_model,
            n_layers=config.n_layers,
            n_heads=config.n_heads,
            positions=config.positions,
            rotary_base=config.rotary_base,
        )
    )
    tokens = [
        tokenizer.token_bytes(token_id).decode("utf-8", "replace") for token_id in range(tokenizer.vocab_size)
    ]
    initialise(network, tokens, config.seed, config.structures)
    return network


def validation_sets(config: PretrainConfig) -> list[list[DrawnProblem]]:
    """Problems of the validation split, of every size trained and those beyond.

    Raises:
        SpecError: the split has no problem of some op.
    """
    corpus, count = config.corpus, config.validate_problems
    return [draw_set(corpus, "validation", size, count, seed=0) for size in corpus.sizes.all]


def validate(
    network: GPT2, tokenizer: Tokenizer, corpus: Corpus, sets: Sequence[Sequence[DrawnProblem]]
) -> list[OpResult]:
    """Greedy accuracy on each set."""
    decoder = Decoder(network, "in training", tokenizer.end_token_id)
    return [evaluate(decoder, tokenizer, corpus, problems) for problems in sets]


def _run(
    config: PretrainConfig,
    folder: Path,
    processes: Processes,
    initial: GPT2 | None,
    compile_network: bool | None,
    observer: Observer,
    should_stop: Callable[[], bool],
) -> TrainedModel:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = config.corpus.make_tokenizer()
    network = new_network(config, tokenizer)
    if initial is not None:
        _start_from(network, initial)
    network = network.to(processes.device)
    optimisers = Optimisers(network, config)
    held_out = validation_sets(config)
    tensors = {f"network.{name}": p for name, p in network.state_dict().items()} | optimisers.state()
    progress = resume(config, folder / STATE_FILE, tensors)
    log = TrainingLog(folder)
    if processes.is_main:
        log.start(progress.step)
    observer.started(config, progress)

    train_steps = stepper(config, network, optimisers, tokenizer, processes, compile_network)
    began = time.monotonic() - progress.seconds
    saved_at = time.monotonic()
    while progress.step < config.steps:
        steps = range(progress.step, min(progress.step + LOG_STEPS, config.steps))
        losses, tokens = train_steps(steps)
        # Asked and answered together: a process that stopped alone would leave the others waiting.
        loss, solution_loss, tokens, stops = processes.sums((*losses, tokens, should_stop()))
        stopping = stops > 0
        progress = Progress(steps.stop, progress.tokens + round(tokens), time.monotonic() - began)
        if processes.is_main:
            row = LossRow(
                step=progress.step,
                tokens=progress.tokens,
                loss=loss / processes.count,
                solution_loss=solution_loss / processes.count,
                rate_factor=config.rate_factor(steps[-1]),
                seconds=progress.seconds,
            )
            log.append(row)
            observer.stepped(row)
            if config.validation_due(steps):
                results = validate(network, tokenizer, config.corpus, held_out)
                for result in results:
                    log.append(
                        ValidationRow(
                            progress.step, progress.tokens, result.op, result.problems, result.solved
                        )
                    )
                observer.validated(progress.step, results)
            if stopping or steps.stop == config.steps or time.monotonic() - saved_at > STATE_SECONDS:
                save_state(folder / STATE_FILE, tensors, progress, config.to_card())
                saved_at = time.monotonic()
        if stopping:
            break
    return TrainedModel(network, tokenizer, config, progress, processes.is_main)


def _start_from(network: GPT2, initial: GPT2) -> None:
    """Copy the weights of another network of the same shape."""
    there, here = dataclasses.asdict(initial.config), dataclasses.asdict(network.config)
    if there != here:
        details = ", ".join(
            f"{name} {there[name]!r} there, {here[name]!r} here" for name in here if there[name] != here[name]
        )
        raise SpecError(f"the initial checkpoint has another shape ({details}); use its settings")
    network.load_state_dict(initial.state_dict())


def stepper(
    config: PretrainConfig,
    network: GPT2,
    optimisers: Optimisers,
    tokenizer: Tokenizer,
    processes: Processes,
    compile_network: bool | None,
) -> Callable[[range], tuple[tuple[float, float], int]]:
    """A function that trains on some steps; it returns its mean losses (all, solution) and its tokens."""
    batches = batch_source(config, tokenizer, processes.rank, processes.count)
    losses_of = loss_function(network, processes.device, compile_network)
    parameters = list(network.parameters())

    def train_steps(steps: range) -> tuple[tuple[float, float], int]:
        sums = torch.zeros(2, device=processes.device)
        tokens = 0
        for step in steps:
            batch = batches(step)
            losses = losses_of(batch)
            losses[0].backward()
            processes.average(p.grad for p in parameters if p.grad is not None)
            optimisers.step(config.rate_factor(step))
            sums += losses.detach()
            tokens += batch.tokens
        mean = (sums / len(steps)).tolist()
        return (mean[0], mean[1]), tokens

    return train_steps
