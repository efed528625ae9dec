"""`demur probe label`: let a model write completions, here or on a server, and mark where they are wrong."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.answer_scoring import AnswerMarkerOption, AnswerPatternOption, answer_score
from app.commands.failures import failing_on
from app.commands.options import CheckpointOption, DeviceOption
from app.commands.probe_labels import PromptLabelling, label_corpus, label_prompts
from app.commands.probe_options import RunOption, SeedOption, WorkersOption, load, run_folder, unescaped
from app.commands.probe_tables import print_base_rates

if TYPE_CHECKING:
    from probes.fitting.labels import LabelledCompletion

_FACTS_SAMPLES = 8


def label(
    checkpoint: CheckpointOption = None,
    run: RunOption = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help='JSON Lines, {"prompt": "..."} each, with "answer" where it is known.  [default: fresh '
            "problems of the model's corpus]"
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="answer, arithmetic, facts, or a program; needed with --prompts."),
    ] = None,
    temperature: Annotated[
        list[float] | None,
        typer.Option(min=0.0, help="With --prompts; may be repeated.  [default: 0, 0.7 and 1; of facts 0.7]"),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Completions per prompt and temperature.  [default: 1; of facts 8]"),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="With --prompts: most tokens of a completion.")
    ] = 256,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="With --prompts: text that ends a completion; \\n is a line break. Repeatable."),
    ] = None,
    answer_marker: AnswerMarkerOption = None,
    answer_pattern: AnswerPatternOption = None,
    known_from: Annotated[
        float,
        typer.Option(min=0.001, max=1.0, help="Of facts: share of right completions from which it is known."),
    ] = 0.5,
    url: Annotated[
        str | None, typer.Option(help="A server of demur that is to write, instead of this machine.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="DEMUR_API_KEY", help="Key of that server.", show_default=False)
    ] = None,
    at_once: Annotated[int, typer.Option(min=1, max=256, help="Requests to it at the same time.")] = 16,
    device: DeviceOption = None,
    scale: Annotated[
        float, typer.Option(min=0.001, help="Without --prompts: factor on the number of problems.")
    ] = 1.0,
    seed: SeedOption = 0,
    workers: WorkersOption = 2,
) -> None:
    """Let a model write completions, and mark where they are wrong.

    A model of a corpus solves fresh problems, and the corpus checker judges every step. For any other model
    give --prompts and --judge. Stopped and started again, it goes on where it was.

    Judges that come with demur: `answer` compares the answer with that of the prompt's line; `arithmetic`
    checks every equation, such as 3 + 4 = 7, and marks the first that does not hold; `facts` says of each
    question whether the model knows the answer, by how many of its own completions are right.

    Any other judge is a program that reads JSON Lines on its standard input and writes each line back with
    `wrong` filled in, a list of spans of characters of the completion: {"prompt": ..., "completion": ...,
    "wrong": [{"start": 12, "end": 20, "kind": "number"}]}. Optional are `correct` (whether the whole answer
    is right), `judged` (nothing from this character on was judged), `checked` (spans that were judged; a step
    outside has no label), `group` (what is kept together and resampled together, by default the prompt) and
    `part` (fit, validation, calibration or test; by default groups are dealt out so that mistakes are as
    frequent in each part).

    With --url a server writes, on a GPU for example; the model's folder is needed here only for `fit`.
    """
    from app.errors import DemurError
    from models.errors import ModelsError, SpecError
    from probes.errors import ProbesError
    from probes.fitting.workflow import EVERY_PART

    with failing_on(DemurError, ModelsError, ProbesError):
        if prompts is None:
            if url is not None:
                raise SpecError("--url needs --prompts and --judge; a corpus is drawn from here")
            loaded = load(checkpoint, device)
            folder = run_folder(run, loaded.model.spec.name)
            labels = label_corpus(loaded, folder / "labels", EVERY_PART, scale, seed, workers)
        else:
            if judge is None:
                raise SpecError("--prompts needs --judge: answer, arithmetic, facts or a program; see --help")
            facts = judge == "facts"
            labelling = PromptLabelling(
                prompts=prompts,
                judge=judge,
                temperatures=tuple(dict.fromkeys(temperature or ((0.7,) if facts else (0.0, 0.7, 1.0)))),
                samples=samples or (_FACTS_SAMPLES if facts else 1),
                max_tokens=max_tokens,
                stop=tuple(map(unescaped, stop or ())),
                seed=seed,
                known_from=known_from,
                score=answer_score(answer_marker, answer_pattern),
            )
            if url is None:
                folder, labels = _label_here(checkpoint, device, run, labelling)
            else:
                name = None if checkpoint is None else checkpoint.name
                folder, labels = _label_there(url, api_key, name, at_once, run, labelling)
    print_base_rates(labels)
    typer.echo(f"{len(labels)} completions in {folder / 'labels'}. Fit probes on them: demur probe fit")


def _label_here(
    checkpoint: Path | None, device: str | None, run: Path | None, labelling: PromptLabelling
) -> "tuple[Path, list[LabelledCompletion]]":
    from app.commands.probe_writing import local_writer
    from probes.fitting.label_source import LabelSource

    loaded = load(checkpoint, device)
    folder = run_folder(run, loaded.model.spec.name)
    source = LabelSource.of(loaded.identity, labelling.seed, 1.0)
    labels = label_prompts(folder, labelling, source, lambda asking: local_writer(loaded, asking))
    return folder, labels


def _label_there(
    url: str,
    api_key: str | None,
    name: str | None,
    at_once: int,
    run: Path | None,
    labelling: PromptLabelling,
) -> "tuple[Path, list[LabelledCompletion]]":
    from app.commands.probe_remote import remote_model
    from probes.fitting.label_source import LabelSource

    with remote_model(url, api_key, name) as model:
        folder = run_folder(run, model.name)
        source = LabelSource(weights=model.weights, tokenizer=model.tokenizer, seed=labelling.seed, scale=1.0)
        labels = label_prompts(folder, labelling, source, lambda asking: model.writer(asking, at_once))
    return folder, labels
