"""Where the labels of `demur probe` come from: files, a run, the corpus checker, or a judge."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.commands.probe_options import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from app.commands.answer_scoring import AnswerScore
    from models.checkpoint import LoadedCheckpoint
    from probes.fitting.completions import Asking, Writer
    from probes.fitting.judges import Judge
    from probes.fitting.label_source import LabelSource
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


@dataclass(frozen=True)
class PromptLabelling:
    """How completions of a file of prompts are written and judged.

    judge: `answer`, `arithmetic`, `facts`, or a program.
    """

    prompts: Path
    judge: str
    temperatures: tuple[float, ...]
    samples: int
    max_tokens: int
    stop: tuple[str, ...]
    seed: int
    known_from: float
    score: "AnswerScore"


def label_prompts(
    folder: Path, labelling: PromptLabelling, source: "LabelSource", writer_of: "Callable[[Asking], Writer]"
) -> "list[LabelledCompletion]":
    """Completions of given prompts at each temperature, marked by a judge, with parts.

    What is written goes to `completions`, what is judged to `labels`; a run that was stopped goes on.
    """
    from probes.fitting.completions import Asking, read_prompts, require_answers, write_all
    from probes.fitting.label_source import claim
    from probes.fitting.labels import write_labels
    from probes.fitting.splits import settled_parts

    judge = _judge(labelling)
    prompts = read_prompts(labelling.prompts)
    if labelling.judge in ("answer", "facts"):  # before anything is written
        require_answers(prompts)
    claim(folder / "labels", source)
    name = labelling.prompts.stem
    written: list[LabelledCompletion] = []
    with progress("writing", len(prompts) * labelling.samples * len(labelling.temperatures)) as done:
        for temperature in labelling.temperatures:
            asking = Asking(
                weights=source.weights,
                prompts=Asking.prompts_hash(prompts),
                samples=labelling.samples,
                temperature=temperature,
                max_tokens=labelling.max_tokens,
                stop=labelling.stop,
                seed=labelling.seed,
            )
            path = folder / "completions" / f"{name}-t{temperature:g}.jsonl"
            written += write_all(path, prompts, asking, writer_of(asking), done)
    labels = settled_parts(folder, judge(written))
    write_labels(folder / "labels" / f"{name}.jsonl", labels)
    return labels


def _judge(labelling: PromptLabelling) -> "Judge":
    import shlex

    from models.errors import SpecError
    from probes.fitting.judge_program import ask_judge
    from probes.fitting.judges import answer_judge, arithmetic_judge, facts_judge

    def score(completion: "LabelledCompletion") -> float:
        return labelling.score(completion.completion, completion.answer)

    match labelling.judge:
        case "answer":
            return answer_judge(score)
        case "arithmetic":
            return arithmetic_judge(score)
        case "facts":
            return facts_judge(score, labelling.known_from)
        case program:
            try:
                command = shlex.split(program)
            except ValueError as error:
                raise SpecError(f"--judge is {program!r}: {error}") from error
            if not command:
                raise SpecError("--judge is empty; give answer, arithmetic, facts or a program")
            return lambda completions: ask_judge(completions, command)


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
    from probes.fitting.splits import settled_parts

    if files:
        return settled_parts(folder, [labelled for path in files for labelled in read_labels(path)])
    if corpus_of(loaded.card) is not None:
        return label_corpus(loaded, folder / "labels", parts, scale, seed, workers)
    found = sorted((folder / "labels").glob("*.jsonl"))
    if not found:
        raise SpecError(
            f"there are no labels in {folder / 'labels'}; make some with demur probe label, or give --labels"
        )
    return settled_parts(folder, [labelled for path in found for labelled in read_labels(path)])
