"""`demur probe`: label what a model writes, fit probes on its hidden states, judge them, install them."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.command_line import CommandLine
from app.commands.failures import failing_on
from app.commands.options import CheckpointOption
from app.commands.probe_labels import label_corpus, label_prompts, labels_of, scale_and_seed
from app.commands.probe_options import (
    LabelsOption,
    RunOption,
    SeedOption,
    WorkersOption,
    command,
    load,
    origin,
    progress,
    run_folder,
)
from app.commands.probe_tables import print_base_rates, print_fitted, print_results

app = CommandLine(
    "probe", "Probes: small networks over hidden states that say when the model has gone wrong."
)


@app.command()
def label(
    checkpoint: CheckpointOption = None,
    run: RunOption = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help='JSON Lines, {"prompt": "..."} each.  [default: fresh problems of its corpus]'),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="Program that marks what is wrong; needed with --prompts."),
    ] = None,
    temperature: Annotated[
        list[float] | None,
        typer.Option(
            min=0.0, help="With --prompts: one completion per prompt at each.  [default: 0, 0.7, 1]"
        ),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="With --prompts: most tokens of a completion.")
    ] = 256,
    scale: Annotated[
        float, typer.Option(min=0.001, help="Without --prompts: factor on the number of problems.")
    ] = 1.0,
    seed: SeedOption = 0,
    workers: WorkersOption = 2,
) -> None:
    """Let a model write completions, and mark where they are wrong.

    A model of a corpus solves fresh problems, and the corpus checker judges every step. Stopped and
    started again, it goes on where it was.

    For any other model give --prompts and --judge. The judge is a program that reads JSON Lines on its
    standard input and writes each line back with `wrong` filled in, a list of spans of characters of the
    completion: {"prompt": ..., "completion": ..., "wrong": [{"start": 12, "end": 20, "kind": "number"}]}.
    Optional are `correct` (whether the whole answer is right), `judged` (nothing from this character on was
    judged), `group` (what is kept together and resampled together, by default the prompt) and `part` (fit,
    validation, calibration or test, by default drawn by a hash of the group).
    """
    from models.errors import ModelsError
    from probes.errors import ProbesError
    from probes.fitting.workflow import EVERY_PART

    with failing_on(ModelsError, ProbesError):
        loaded = load(checkpoint)
        folder = run_folder(run, loaded) / "labels"
        if prompts is None:
            labels = label_corpus(loaded, folder, EVERY_PART, scale, seed, workers)
        else:
            labels = label_prompts(loaded, folder, prompts, judge, temperature, max_tokens, seed)
    print_base_rates(labels)
    typer.echo(f"{len(labels)} completions in {folder}. Fit probes on them: demur probe fit")


@app.command()
def fit(
    checkpoint: CheckpointOption = None,
    run: RunOption = None,
    labels: LabelsOption = None,
    step_end: Annotated[
        list[str] | None,
        typer.Option(help="Text that ends a step; may be repeated.  [default: a full stop, a new line]"),
    ] = None,
    marker: Annotated[
        list[str] | None,
        typer.Option(help="Token in the middle of a step.  [default: that of its corpus, else none]"),
    ] = None,
    min_mistakes: Annotated[
        int, typer.Option(min=2, help="A kind of mistake gets a probe from this many on.")
    ] = 200,
    scale: Annotated[
        float | None,
        typer.Option(min=0.001, help="As in `label`.  [default: that of the labels there are, or 1]"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Same seed, same labels.  [default: that of the labels there are, or 0]"),
    ] = None,
    workers: WorkersOption = 2,
) -> None:
    """Fit probes on labelled completions and calibrate them.

    Without labels, those of a model of a corpus are made first. Every layer, position and family is
    compared on the validation part; the simplest within the interval of the best wins.
    """
    from models.corpora.corpus import Layout
    from models.corpora.registry import corpus_of
    from models.errors import ModelsError
    from probes import store
    from probes.errors import ProbesError
    from probes.fitting.workflow import FITTED_ON, by_part, fit_all_probes
    from probes.judging.record import FittingData, card_of
    from probes.position import standard_positions

    with failing_on(ModelsError, ProbesError):
        loaded = load(checkpoint)
        folder = run_folder(run, loaded)
        scale, seed = scale_and_seed(folder, scale, seed)
        found = labels_of(loaded, folder, labels, FITTED_ON, scale, seed, workers)
        corpus = corpus_of(loaded.card)
        layout = Layout() if corpus is None else corpus.layout
        positions = standard_positions(
            loaded.tokenizer,
            step_end or layout.step_ends,
            layout.step_middles if marker is None else marker,
            loaded.model.spec.end_token_ids,
        )
        fitted = fit_all_probes(
            loaded.model, loaded.tokenizer, positions, found, min_mistakes, workers, progress
        )
        data = FittingData.of(by_part(found, FITTED_ON), origin(seed))
        for each in fitted:
            card = card_of(each, loaded, data)
            store.save(folder / "probes", each.probe, card)
    print_fitted(fitted)
    typer.echo(f"Wrote {len(fitted)} probes to {folder / 'probes'}. Judge them: demur probe evaluate")


@app.command()
def evaluate(
    checkpoint: CheckpointOption = None,
    run: RunOption = None,
    labels: LabelsOption = None,
    resamples: Annotated[int, typer.Option(min=10, help="Resamples of problems for the intervals.")] = 1000,
    workers: WorkersOption = 2,
) -> None:
    """Judge the probes of a run on the test part, beside baselines and controls.

    Writes evaluation.json and report.html into the run, and the figures into the probes' cards.
    """
    from models.errors import ModelsError
    from models.files import write_atomically
    from probes import store
    from probes.errors import ProbesError
    from probes.fitting.workflow import EVERY_PART, by_part
    from probes.judging.report import render
    from probes.judging.stored_probes import judge_stored, with_evaluation

    with failing_on(ModelsError, ProbesError):
        loaded = load(checkpoint)
        folder = run_folder(run, loaded)
        stored = store.load_all(folder / "probes", loaded)
        scale, seed = scale_and_seed(folder, None, None)
        found = labels_of(loaded, folder, labels, EVERY_PART, scale, seed, workers)
        report = judge_stored(loaded, stored, found, command(), resamples, workers, progress)
        write_atomically(folder / "evaluation.json", report.model_dump_json(indent=1).encode())
        write_atomically(folder / "report.html", render(report).encode())
        test = by_part(found, ("test",))["test"]
        for each, result in zip(stored, report.probes, strict=True):
            store.save(folder / "probes", each.probe, with_evaluation(each.card, result, test))
    print_results(report)
    typer.echo(f"Wrote {folder / 'report.html'}. Let the server use them: demur probe install")


@app.command()
def install(
    checkpoint: CheckpointOption = None,
    run: RunOption = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Folder of probes.  [default: the one that demur serve reads for this checkpoint]"),
    ] = None,
) -> None:
    """Put the probes of a run where the server finds them, in the place of those that were there."""
    import shutil

    from app.settings import EMBEDDED_PROBES
    from models.errors import ModelsError
    from models.files import replace_folder
    from probes import store
    from probes.errors import ProbesError

    with failing_on(ModelsError, ProbesError):
        loaded = load(checkpoint)
        source = run_folder(run, loaded) / "probes"
        stored = store.load_all(source, loaded)
        target = (into if into is not None else EMBEDDED_PROBES / loaded.path.resolve().name).resolve()
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # left by a kill
        shutil.copytree(source, partial)
        replace_folder(partial, target)
    typer.echo(f"Installed {', '.join(each.card.name for each in stored)} in {target}")
