"""Does lm-evaluation-harness read from the server what transformers computes from the same folder?

Starts `demur serve` on a free port and lets the harness's `local-completions` model score multiple-choice
problems: problems of the test split with their reference solutions up to "Answer:", and each of the modulus's
numbers as a choice, so that every choice is one token and a row that is lost is a choice that is lost. Each
choice's log-likelihood is compared with transformers' own, and the accuracy with that by transformers; once
with prompts as token ids, once as text.

EleutherAI's harness lives in an environment of its own, which is made in FOLDER the first time: torch first,
so that no build for graphics cards is taken. It splits context from choice by the checkpoint's own tokenizer:
`tokenizer_backend=huggingface,tokenizer=CHECKPOINT`.

    python benchmarks/lm_eval_parity.py [--problems 20] [--checkpoint FOLDER] [--harness FOLDER]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.settings import EMBEDDED_CHECKPOINT
from benchmarks.served import served
from models.corpora.drawing import problems
from models.corpora.registry import corpus_named

PACKAGES = ("torch==2.13.0", "transformers==5.24.0", "lm_eval[api]==0.4.13")
TASK = "igsm_answers"
AGREEMENT = 1e-3
"""Nats; the two compute in float32 in different orders."""

RUN = """
import json, sys
import lm_eval
from lm_eval.tasks import TaskManager
asked = json.load(open(sys.argv[1]))
found = lm_eval.simple_evaluate(
    model="local-completions",
    model_args=asked["model_args"],
    tasks=[asked["task"]],
    task_manager=TaskManager(include_path=asked["folder"]),
    bootstrap_iters=0,
)
samples = sorted(found["samples"][asked["task"]], key=lambda sample: sample["doc_id"])
answer = {
    "version": lm_eval.__version__,
    "accuracy": found["results"][asked["task"]]["acc,none"],
    "choices": [[[float(value), bool(best)] for value, best in each["filtered_resps"]] for each in samples],
}
json.dump(answer, open(sys.argv[2], "w"))
"""


@dataclass(frozen=True)
class Question:
    """A context, its choices, and which of them is right."""

    context: str
    choices: tuple[str, ...]
    right: int


@dataclass(frozen=True)
class Scores:
    """Log-likelihood in nats of every choice of every question, and whether each is greedy decoding's."""

    values: list[list[float]]
    greedy: list[list[bool]]
    accuracy: float


def draw(count: int) -> list[Question]:
    """Problems of the test split, with all that comes before their answer."""
    corpus = corpus_named()
    marker = corpus.layout.answer_marker
    choices = tuple(f" {answer}" for answer in corpus.answers)
    drawn: list[Question] = []
    for problem in islice(problems(corpus, "test", seed=0), count):
        worked = problem.solution[: problem.solution.index(marker) + len(marker)]
        right = corpus.answers.index(problem.answer)
        drawn.append(Question(f"{problem.prompt}\n{worked}", choices, right))
    return drawn


@torch.inference_mode()
def by_transformers(checkpoint: Path, questions: list[Question]) -> Scores:
    """Each choice's log-likelihood after its context, in one forward pass of its own."""
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    values: list[list[float]] = []
    greedy: list[list[bool]] = []
    for question in questions:
        start = len(tokenizer.encode(question.context, add_special_tokens=False))
        values.append([])
        greedy.append([])
        for choice in question.choices:
            ids = tokenizer.encode(question.context + choice, add_special_tokens=False)
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)[start - 1 : -1]
            chosen = torch.tensor(ids[start:])
            values[-1].append(float(logprobs.gather(-1, chosen[:, None]).sum()))
            greedy[-1].append(bool((logprobs.argmax(-1) == chosen).all()))
    right = [
        max(range(len(row)), key=row.__getitem__) == question.right
        for row, question in zip(values, questions, strict=True)
    ]
    return Scores(values, greedy, sum(right) / len(right))


def environment(folder: Path) -> Path:
    """The Python of the harness's environment, which is made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for package in PACKAGES:
            subprocess.run([str(python), "-m", "pip", "install", "-q", package], check=True)
    return python


def by_harness(
    python: Path, url: str, checkpoint: Path, questions: list[Question], *, as_ids: bool
) -> tuple[Scores, str]:
    """What the harness makes of the server's answers, and the harness's version."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        rows = [{"context": each.context, "choices": each.choices, "right": each.right} for each in questions]
        (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        # YAML is a superset of JSON.
        task = {
            "task": TASK,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / "questions.jsonl")}},
            "output_type": "multiple_choice",
            "test_split": "test",
            "doc_to_text": "{{context}}",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "right",
            "target_delimiter": "",
            "metric_list": [{"metric": "acc"}],
        }
        (folder / f"{TASK}.yaml").write_text(json.dumps(task))
        model_args = {
            "model": checkpoint.name,
            "base_url": f"{url}/v1/completions",
            "tokenizer_backend": "huggingface",
            "tokenizer": str(checkpoint),
            "tokenized_requests": as_ids,
            "max_length": 256,
            "num_concurrent": 4,
            "max_retries": 1,
        }
        asked, answered = folder / "asked.json", folder / "answered.json"
        asked.write_text(json.dumps({"folder": str(folder), "task": TASK, "model_args": model_args}))
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "home")}
        command = [str(python), "-c", RUN, str(asked), str(answered)]
        subprocess.run(command, check=True, env=os.environ | offline | {"PYTHONPATH": ""}, cwd=folder)
        found = json.loads(answered.read_text())
    values = [[value for value, _ in row] for row in found["choices"]]
    greedy = [[is_greedy for _, is_greedy in row] for row in found["choices"]]
    return Scores(values, greedy, found["accuracy"]), found["version"]


def differences(left: Scores, right: Scores) -> tuple[float, int]:
    """The largest difference of log-likelihoods in nats, and how many choices are greedy to only one."""
    pairs = [
        abs(one - other)
        for mine, theirs in zip(left.values, right.values, strict=True)
        for one, other in zip(mine, theirs, strict=True)
    ]
    unlike = sum(
        one != other
        for mine, theirs in zip(left.greedy, right.greedy, strict=True)
        for one, other in zip(mine, theirs, strict=True)
    )
    return max(pairs), unlike


def main() -> None:
    """Print the comparison; status 1 if the two do not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--checkpoint", type=Path, default=EMBEDDED_CHECKPOINT)
    parser.add_argument("--harness", type=Path, default=Path(tempfile.gettempdir()) / "demur-lm-eval")
    given = parser.parse_args()
    questions = draw(given.problems)
    expected = by_transformers(given.checkpoint, questions)
    python = environment(given.harness)
    table = Table("scored by", "accuracy", "largest difference, nats", "greedy to only one")
    table.add_row("transformers", f"{expected.accuracy:.2f}", "", "")
    agrees = True
    with served("--checkpoint", str(given.checkpoint), "--max-rows", "32") as server:
        for as_ids in (True, False):
            found, version = by_harness(python, server.url, given.checkpoint, questions, as_ids=as_ids)
            largest, unlike = differences(found, expected)
            agrees &= largest < AGREEMENT and unlike == 0 and found.accuracy == expected.accuracy
            prompts = "token ids" if as_ids else "text"
            table.title = (
                f"lm_eval {version}, {len(questions)} problems x {len(questions[0].choices)} choices"
            )
            table.add_row(
                f"lm_eval, prompts as {prompts}", f"{found.accuracy:.2f}", f"{largest:.1e}", str(unlike)
            )
    Console().print(table)
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
