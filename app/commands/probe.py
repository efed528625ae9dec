"""`demur probe`: label what a model writes, fit probes on its hidden states, judge them, install them."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.command_line import CommandLine
from app.commands.failures import failing_on
from app.commands.options import CheckpointOption, DeviceOption
from app.commands.probe_installing import worth_installing
from app.commands.probe_labelling import label
from app.commands.probe_labels import labels_of, scale_and_seed
from app.commands.probe_options import (
    LabelsOption,
    RunOption,
    WorkersOption,
    chosen_layers,
    chosen_positions,
    command,
    load,
    origin,
    progress,
    run_folder,
    store_for,
    unescaped,
)
from app.commands.probe_tables import print_fitted, print_results

app = CommandLine(
    "probe", "Probes: small networks over hidden states that say when the model has gone wrong."
)


app.command()(label)


@app.command()
def fit(
    checkpoint: CheckpointOption = None,
    device: DeviceOption = None,
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
    layer: Annotated[
        list[int] | None,
        typer.Option(
            help="Layer to try, 0 is after the embedding; may be repeated.  [default: all of up to 12, of "
            "deeper models 0 and eight at equal distances]"
        ),
    ] = None,
    position: Annotated[
        list[str] | None,
        typer.Option(help="question, start, name, middle or end; may be repeated.  [default: all]"),
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
        loaded = load(checkpoint, device)
        folder = run_folder(run, loaded.model.spec.name)
        scale, seed = scale_and_seed(folder, scale, seed)
        found = labels_of(loaded, folder, labels, FITTED_ON, scale, seed, workers)
        corpus = corpus_of(loaded.card)
        layout = Layout() if corpus is None else corpus.layout
        positions = standard_positions(
            loaded.tokenizer,
            tuple(map(unescaped, step_end)) if step_end else layout.step_ends,
            layout.step_middles if marker is None else marker,
            loaded.model.spec.end_token_ids,
        )
        read_at = chosen_positions(positions, position)
        layers, states = chosen_layers(loaded.model.spec, layer), store_for(loaded, folder)
        fitted = fit_all_probes(
            loaded.model, loaded.tokenizer, read_at, found, min_mistakes, workers, progress, layers, states
        )
        data = FittingData.of(by_part(found, FITTED_ON), origin(seed))
        for each in fitted.probes:
            card = card_of(each, loaded, data, fitted.cautions.get(each.probe.name, ()))
            store.save(folder / "probes", each.probe, card)
    print_fitted(fitted)
    typer.echo(f"Wrote {len(fitted.probes)} probes to {folder / 'probes'}. Judge them: demur probe evaluate")


@app.command()
def evaluate(
    checkpoint: CheckpointOption = None,
    device: DeviceOption = None,
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
        loaded = load(checkpoint, device)
        folder = run_folder(run, loaded.model.spec.name)
        stored = store.load_all(folder / "probes", loaded)
        scale, seed = scale_and_seed(folder, None, None)
        found = labels_of(loaded, folder, labels, EVERY_PART, scale, seed, workers)
        states = store_for(loaded, folder)
        report = judge_stored(loaded, stored, found, command(), resamples, workers, progress, states)
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
    device: DeviceOption = None,
    run: RunOption = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Folder of probes.  [default: the one that demur serve reads for this checkpoint]"),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also those that do not beat what is free; their cards say so.")
    ] = False,
) -> None:
    """Put the probes of a run where the server finds them, in the place of those that were there.

    A probe that does not beat, beyond the 95% interval on the test part, what is free (entropy, margin and
    their like, and a logistic regression on all of them with the step's index and length) is left out.
    """
    import shutil

    from app.settings import EMBEDDED_PROBES
    from models.errors import ModelsError
    from models.files import replace_folder
    from probes import store
    from probes.errors import ProbesError

    with failing_on(ModelsError, ProbesError):
        loaded = load(checkpoint, device)
        source = run_folder(run, loaded.model.spec.name) / "probes"
        stored = store.load_all(source, loaded)
        target = (into if into is not None else EMBEDDED_PROBES / loaded.path.resolve().name).resolve()
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # left by a kill
        chosen = worth_installing(stored, anyway)
        partial.mkdir(parents=True)
        for each in chosen:
            store.save(partial, each.probe, each.card)
        replace_folder(partial, target)
    typer.echo(f"Installed {', '.join(each.card.name for each in chosen)} in {target}")
