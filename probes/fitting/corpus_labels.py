"""Labels of a corpus: the model's own solutions of fresh problems, judged by the corpus checker."""

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch

from models.complete import complete
from models.corpora.abilities import WithStepStarts, require
from models.corpora.corpus import CORRECT, Corpus, Report, judge
from models.corpora.splits import Split
from models.language_model import LanguageModel
from models.tokenizer import Tokenizer
from probes.fitting.labels import LabelledCompletion, Part, WrongSpan, read_labels, write_labels

SPLITS: dict[Part, Split] = {
    "fit": "train",
    "validation": "validation",
    "calibration": "calibration",
    "test": "test",
}
"""Which problems serve which purpose; no two splits of the corpus share a solution template."""

TEMPERATURES = {0.0: 0.5, 0.7: 1.0, 1.0: 2.0}
"""And the share of each: the hotter, the more mistakes there are to learn from and to count."""

BATCH = 128


@dataclass(frozen=True)
class Job:
    """Solutions to be drawn of one part, op (the size of the problems) and temperature; together they are one
    file.

    forced: of each solution, one step is then begun with one of the beginnings that the problem has left,
    drawn at random, and only this step is judged. So mistakes that the model hardly ever makes by itself, and
    what its hidden states are like then, can be learnt from as many examples as one likes.
    """

    part: Part
    op: int
    temperature: float
    count: int
    forced: bool = False

    @property
    def name(self) -> str:
        """File name without its ending."""
        return f"{self.part}-op{self.op}-t{self.temperature}{'-forced' if self.forced else ''}"


def plan(corpus: Corpus, scale: float = 1.0) -> list[Job]:
    """How many solutions of which kind: most where mistakes are neither rare nor certain.

    Small problems are solved nearly always, so their share is small; those beyond the trained range are their
    own domain. Steps can be forced where the corpus knows how they begin.

    Args:
        scale: factor on all counts.
    """
    shares: dict[Part, float] = {"fit": 1.0, "validation": 0.25, "calibration": 0.25, "test": 1.2}
    sizes, can_force = corpus.sizes, isinstance(corpus, WithStepStarts)
    jobs: list[Job] = []
    for part, share in shares.items():
        for op in sizes.all:
            base = 380 if op > sizes.trained_max else 1200 if op > sizes.trained_max - 3 else 240
            for temperature, weight in TEMPERATURES.items():
                jobs.append(Job(part, op, temperature, max(1, round(base * share * weight * scale))))
            if can_force and part == "fit" and op > sizes.min:
                jobs.append(Job(part, op, 1.0, max(1, round(2 * base * scale)), forced=True))
    return jobs


def label_all(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    corpus: Corpus,
    folder: Path,
    jobs: Sequence[Job],
    seed: int = 0,
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[LabelledCompletion]:
    """Do every job, a file for each; those whose file is there already are read instead.

    Args:
        folder: where the files are, or go; of one checkpoint and one seed only.
        workers: threads.
        on_progress: called with the number of completions that were just labelled or read.
    """

    def one(job: Job) -> list[LabelledCompletion]:
        path = folder / f"{job.name}.jsonl"
        if not path.exists():
            write_labels(path, label(model, tokenizer, corpus, job, seed))
        return read_labels(path)

    labels: list[LabelledCompletion] = []
    with ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1)) as pool:
        for job, found in zip(jobs, pool.map(one, jobs), strict=True):
            labels.extend(found)
            on_progress(job.count)
    return labels


def label(
    model: LanguageModel[Any], tokenizer: Tokenizer, corpus: Corpus, job: Job, seed: int = 0
) -> list[LabelledCompletion]:
    """Draw fresh problems, let the model solve each once, and judge the solutions.

    The first wrong step is marked and nothing after it is judged: what follows a mistake is another world. A
    right solution is judged to its end; one that only breaks off, forgets a quantity or answers wrongly is
    wrong in its last part, of kind `answer`.

    Raises:
        SpecError: steps are to be forced, but the corpus does not know how they begin.
    """
    if job.forced:
        require(corpus, "step_starts")
    random = Random(f"probe/{job.name}/{seed}")
    problems = [corpus.draw(random, SPLITS[job.part], job.op) for _ in range(job.count)]
    domain = "id" if job.op <= corpus.sizes.trained_max else "ood"
    labels: list[LabelledCompletion] = []
    for start in range(0, len(problems), BATCH):
        prompts = [problem.prompt for problem in problems[start : start + BATCH]]
        completions = complete(
            model,
            [tokenizer.encode_prompt(prompt) for prompt in prompts],
            job.temperature,
            seed=random.getrandbits(62),
            max_tokens=corpus.layout.longest_step * (job.op + 2),
        )
        judged = [
            _judged(model, tokenizer, corpus, prompt, ids, job, domain)
            for prompt, ids in zip(prompts, completions, strict=True)
        ]
        labels += _forced(model, tokenizer, corpus, judged, random) if job.forced else judged
    return labels


def _forced(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    corpus: Corpus,
    solved: Sequence[LabelledCompletion],
    random: Random,
) -> list[LabelledCompletion]:
    """One step of each solution, begun as no step of the solution before it."""
    layout = corpus.layout
    closing = tokenizer.phrase_id(layout.step_end)
    prefixes: list[tuple[LabelledCompletion, list[int]]] = []
    for each in solved:
        right = each.completion[: each.wrong[0].start if each.wrong else len(each.completion)]
        ends = [0, *(match.end() for match in re.finditer(re.escape(layout.step_end), right))]
        written = right[: random.choice(ends)] or layout.solution_start
        left = sorted(name for name in each.about if not re.search(rf"\b{re.escape(name)}\b", written))
        if left:
            prefixes.append((each, tokenizer.encode(written + random.choice(left))))
    rests = complete(
        model,
        [[*tokenizer.encode_prompt(each.prompt), *prefix] for each, prefix in prefixes],
        temperature=1.0,
        seed=random.getrandbits(62),
        max_tokens=layout.longest_step,
        stop=(closing,),
    )
    labels: list[LabelledCompletion] = []
    for (each, prefix), rest in zip(prefixes, rests, strict=True):
        start = len(tokenizer.decode(prefix[:-1]))
        ids = (*prefix, *rest)
        text = tokenizer.decode([token_id for token_id in ids if token_id not in model.spec.end_token_ids])
        step = next((s for s in judge(corpus, each.prompt, text).steps if s.start >= start), None)
        if step is None:
            continue
        wrong = WrongSpan(start=step.start, end=step.end, kind=step.verdict)
        changes = {
            "completion": text,
            "completion_ids": ids,
            "wrong": () if step.verdict == CORRECT else (wrong,),
            "judged_from": start,
            "judged": step.end,
            "own": False,
            "about": {},
        }
        labels.append(each.model_copy(update=changes))
    return labels


def _judged(
    model: LanguageModel[Any],
    tokenizer: Tokenizer,
    corpus: Corpus,
    prompt: str,
    ids: Sequence[int],
    job: Job,
    domain: str,
) -> LabelledCompletion:
    text = tokenizer.decode(model.spec.without_end(ids))
    report = judge(corpus, prompt, text)
    span = first_wrong(report, text)
    return LabelledCompletion(
        prompt=prompt,
        completion=text,
        completion_ids=tuple(ids),
        wrong=() if span is None else (span,),
        judged=len(text) if span is None else span.end,
        correct=report.correct,
        group=hashlib.sha256(prompt.encode()).hexdigest()[:16],
        part=job.part,
        domain=domain,
        about=corpus.step_starts(prompt) if isinstance(corpus, WithStepStarts) else {},
        tags={"op": job.op, "temperature": job.temperature},
    )


def first_wrong(report: Report, text: str) -> WrongSpan | None:
    """The first wrong part of a solution; see `label`."""
    if report.first_error is not None:
        step = report.steps[report.first_error]
        return WrongSpan(start=step.start, end=step.end, kind=step.verdict)
    if report.correct:
        return None
    # What comes after the last step, a space or line break apart.
    start = report.steps[-1].end if report.steps else 0
    while start < len(text) - 1 and text[start].isspace():
        start += 1
    return WrongSpan(start=min(start, len(text) - 1), end=len(text), kind="answer")
