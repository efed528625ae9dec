"""`demur pretrain`: train a GPT-2 on a corpus, by default igsm, from nothing to a checkpoint folder."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.checkout import commit
from app.commands.corpus_spec import CorpusOption, SettingOption, corpus_of_options
from app.commands.failures import failing_on
from app.commands.options import require_device
from app.commands.stopping import stop_signals

if TYPE_CHECKING:
    from models.gpt2 import GPT2
    from models.pretrain import TrainedModel
    from models.training.config import PretrainConfig

Millions = Annotated[float, typer.Option(min=0.001)]


def pretrain(
    out: Annotated[Path, typer.Argument(help="Checkpoint folder to write when the run is complete.")],
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the run's state and log.  [default: runs/ and the checkpoint's name]"),
    ] = None,
    tokens: Annotated[float, typer.Option(min=0.001, help="Tokens to train on, in millions.")] = 24.7,
    decay: Annotated[
        float, typer.Option(min=0.0, help="The last so many million tokens lower the learning rate to zero.")
    ] = 18.0,
    layers: Annotated[int, typer.Option(min=1, help="Transformer blocks.")] = 6,
    width: Annotated[int, typer.Option(min=8, help="Width of the residual stream.")] = 192,
    heads: Annotated[int, typer.Option(min=1, help="Attention heads per block.")] = 6,
    positions: Annotated[str, typer.Option(help="rotary or learned.")] = "rotary",
    rotary_base: Annotated[float, typer.Option(help="Base of the rotary frequencies.")] = 1e6,
    context: Annotated[int, typer.Option(min=16, help="Context length in tokens.")] = 256,
    rows: Annotated[int, typer.Option(min=1, help="Packed rows per step, over all processes.")] = 24,
    row_length: Annotated[int, typer.Option(min=16, help="Tokens per packed row.")] = 128,
    muon_rate: Annotated[float, typer.Option(help="Peak learning rate of Muon, for the matrices.")] = 0.01,
    adamw_rate: Annotated[float, typer.Option(help="Peak learning rate of AdamW, for the rest.")] = 0.002,
    prompt_weight: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Weight of prompt tokens in the loss; solutions weigh 1.")
    ] = 0.2,
    corpus: CorpusOption = "igsm",
    setting: SettingOption = None,
    op_max: Annotated[
        int | None,
        typer.Option(min=1, help="Largest op, the number of quantities that an answer needs.  [default: 5]"),
    ] = None,
    op_weights: Annotated[
        str | None,
        typer.Option(help="How often each op is drawn, as in 1,1,2,2,3.  [default: all alike]"),
    ] = None,
    op_start: Annotated[
        int | None, typer.Option(min=1, help="Largest op at the start of the run.  [default: --op-max]")
    ] = None,
    op_ramp: Annotated[
        float, typer.Option(min=0.0, help="Million tokens over which op grows from --op-start to --op-max.")
    ] = 0.0,
    distractors: Annotated[
        int | None, typer.Option(min=0, help="Largest number of distractors.  [default: 3]")
    ] = None,
    nouns: Annotated[int | None, typer.Option(min=4, help="Number of nouns.  [default: 60]")] = None,
    modulus: Annotated[
        int | None, typer.Option(min=3, max=99, help="Arithmetic is modulo this number.  [default: 11]")
    ] = None,
    validate_every: Annotated[
        float, typer.Option(min=0.001, help="Million tokens between validations.")
    ] = 2.0,
    validate_problems: Annotated[int, typer.Option(min=1, help="Problems per op in a validation.")] = 100,
    init_from: Annotated[
        Path | None,
        typer.Option(help="Checkpoint whose weights the run starts with.  [default: none, from nothing]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides initial weights and data.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.  [default: one per core]")] = None,
    compile_network: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="torch.compile.  [default: where a compiler is found]"),
    ] = None,
) -> None:
    """Pretrain a GPT-2 on fresh problems of a corpus and write it in Hugging Face format.

    The run can be stopped at any moment, by Ctrl-C or by a kill: the same command goes on where it was, and
    ends with the same weights as a run that was never stopped. --tokens and --decay may be changed until the
    learning rate begins to fall. With several processes or GPUs: torchrun --nproc-per-node N -m app.cli
    pretrain ...
    """
    from app.errors import DemurError
    from models.checkpoint import CARD_FILE, check_target, load_network
    from models.errors import ModelsError
    from models.files import read_json
    from models.training.config import PretrainConfig

    with failing_on(DemurError, ModelsError):
        initial, init_weights = load_network(init_from) if init_from else (None, "")
        init_card = read_json(init_from / CARD_FILE) if init_from else None
        world = corpus_of_options(
            corpus, setting, modulus=modulus, nouns=nouns, op_max=op_max, distractors_max=distractors
        )
        config = PretrainConfig(
            corpus=world,
            positions=_positions(positions),
            rotary_base=rotary_base,
            context_length=context,
            d_model=width,
            n_layers=layers,
            n_heads=heads,
            tokens=round(tokens * 1e6),
            decay_tokens=round(decay * 1e6),
            rows=rows,
            row_length=row_length,
            muon_rate=muon_rate,
            adamw_rate=adamw_rate,
            prompt_weight=prompt_weight,
            op_weights=_weights(op_weights),
            op_start=world.sizes.trained_max if op_start is None else op_start,
            op_ramp_tokens=round(op_ramp * 1e6),
            validate_tokens=round(validate_every * 1e6),
            validate_problems=validate_problems,
            init_weights=init_weights,
            seed=seed,
        )
        check_target(out)
        run = run if run is not None else Path("runs") / out.name
        if device != "auto":
            require_device(device)
        trained = _train(config, run, device, threads, compile_network, initial)
        _finish(trained, run, out, init_card)


def _positions(name: str) -> Any:
    from models.errors import SpecError

    if name not in ("rotary", "learned"):
        raise SpecError(f"--positions is {name!r}; choose rotary or learned")
    return name


def _weights(text: str | None) -> tuple[float, ...]:
    from models.errors import SpecError

    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise SpecError(f"--op-weights is {text!r}; give numbers with commas between, as in 1,1,2") from error


def _train(
    config: "PretrainConfig",
    run: Path,
    device: str,
    threads: int | None,
    compile_network: bool | None,
    initial: "GPT2 | None",
) -> "TrainedModel":
    import torch

    from app.commands.training_progress import TrainingProgress
    from models.pretrain import pretrain as train

    if threads is not None:
        torch.set_num_threads(threads)
    with stop_signals() as received, TrainingProgress(config, run) as progress:
        return train(config, run, device, compile_network, progress.observer, lambda: bool(received), initial)


def _finish(trained: "TrainedModel", run: Path, out: Path, init_card: dict[str, Any] | None) -> None:
    """Write the checkpoint of a complete run; say how to go on with one that was stopped."""
    from rich.console import Console

    from models import checkpoint
    from models.corpora.registry import card_of
    from models.training.plot import plot_log

    console = Console()
    if trained.progress.step < trained.config.steps:
        console.print(f"Stopped after step {trained.progress.step}; the same command goes on from there.")
        raise typer.Exit(130)
    if not trained.is_main:
        return
    card = {
        "name": out.name,
        "made": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "command": shlex.join(["demur", *sys.argv[1:]]),
        "corpus": card_of(trained.config.corpus),
        "training": {
            "seed": trained.config.seed,
            "tokens_seen": trained.progress.tokens,
            "steps": trained.progress.step,
            "seconds": round(trained.progress.seconds),
            "config": trained.config.to_card(),
            "init": init_card,
        },
    }
    checkpoint.save(out, trained.network, trained.tokenizer, card)
    plot_log(run, run / "training.png")
    console.print(f"Wrote {out} and {run / 'training.png'}. Measure it: demur evaluate --checkpoint {out}")
