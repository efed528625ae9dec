"""Where the labels of `demur probe` come from: files, a run, the corpus checker, or a judge."""

from pathlib import Path
from typing import TYPE_CHECKING

from app.commands.probe_options import progress

if TYPE_CHECKING:
    from collections.abc import Collection

    from models.checkpoint import LoadedCheckpoint
    from probes.fitting.labels import LabelledCompletion, Part


def label_corpus(
    loaded: "LoadedCheckpoint", folder: Path, parts: "Collection[Part]", scale: float, seed: int, workers: int
) -> "list[LabelledCompletion]":
    """Labels of some parts, of a checkpoint whose card names a corpus."""
    from models.corpora.registry import corpus_of, why_none
    from models.errors import SpecError
    from probes.fitting.corpus_labels import label_all, plan
    from probes.fitting.label_source import LabelSource, claim

    corpus = corpus_of(loaded.card)
    if corpus is None:
        raise SpecError(
            f"the card of {loaded.path} {why_none(loaded.card)}, so nobody can judge what the model writes; "
            "give --prompts and --judge"
        )
    claim(folder, LabelSource.of(loaded.identity, seed, scale))
    jobs = [job for job in plan(corpus, scale) if job.part in parts]
    with progress("labelling", sum(job.count for job in jobs)) as done:
        return label_all(loaded.model, loaded.tokenizer, corpus, folder, jobs, seed, workers, done)


def label_prompts(
    loaded: "LoadedCheckpoint",
    folder: Path,
    prompts: Path,
    judge: str | None,
    temperatures: list[float] | None,
    max_tokens: int,
    seed: int,
) -> "list[LabelledCompletion]":
    """Completions of given prompts at each temperature, marked by a judge; written to the folder."""
    import shlex

    from models.errors import SpecError
    from probes.fitting.label_source import LabelSource, claim
    from probes.fitting.labels import write_labels
    from probes.fitting.user_labels import ask_judge, read_prompts, write_completions

    if judge is None:
        raise SpecError("--prompts needs --judge, a program that marks what is wrong; see --help")
    asked = read_prompts(prompts)
    claim(folder, LabelSource.of(loaded.identity, seed, 1.0))
    chosen = temperatures or [0.0, 0.7, 1.0]
    labels: list[LabelledCompletion] = []
    with progress("labelling", len(asked) * len(chosen)) as done:
        for index, temperature in enumerate(chosen):
            written = write_completions(
                loaded.model, loaded.tokenizer, asked, temperature, max_tokens, seed + index
            )
            labels += ask_judge(written, shlex.split(judge))
            done(len(asked))
    write_labels(folder / f"{prompts.stem}.jsonl", labels)
    return labels


def scale_and_seed(folder: Path, scale: float | None, seed: int | None) -> tuple[float, int]:
    """What is asked for, or else what the labels of a run were drawn with, or else 1 and 0."""
    from probes.fitting.label_source import read_source

    there = read_source(folder / "labels")
    return (
        scale if scale is not None else there.scale if there else 1.0,
        seed if seed is not None else there.seed if there else 0,
    )


def labels_of(
    loaded: "LoadedCheckpoint",
    folder: Path,
    files: list[Path] | None,
    parts: "Collection[Part]",
    scale: float,
    seed: int,
    workers: int,
) -> "list[LabelledCompletion]":
    """Labels of the files given, or else of the run; for a model with a corpus what is missing is made."""
    from models.corpora.registry import corpus_of
    from models.errors import SpecError
    from probes.fitting.labels import read_labels

    if files:
        return [labelled for path in files for labelled in read_labels(path)]
    if corpus_of(loaded.card) is not None:
        return label_corpus(loaded, folder / "labels", parts, scale, seed, workers)
    found = sorted((folder / "labels").glob("*.jsonl"))
    if not found:
        raise SpecError(
            f"there are no labels in {folder / 'labels'}; make some with demur probe label, or give --labels"
        )
    return [labelled for path in found for labelled in read_labels(path)]
