"""What `demur calibrate` reads of a model without a corpus: completions that came with prompts, or its
own."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from app.commands.probe_options import progress

if TYPE_CHECKING:
    from app.decoding.calibration.calibration import SignalCalibration
    from app.decoding.calibration.risk_table import RiskTable
    from app.measure.calibrating import Document
    from models.checkpoint import LoadedCheckpoint

DEFAULT_TEXTS = 64


class CalibrationPrompt(BaseModel):
    """A line of a file of prompts. completion: what is to follow it. answer: what is right."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    prompt: str = Field(min_length=1)
    completion: str | None = None
    answer: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How a model's own texts are written."""

    temperature: float
    max_tokens: int
    stop: tuple[str, ...]
    seed: int


def read_calibration_prompts(path: Path | None) -> list[CalibrationPrompt]:
    """The prompts of a JSON Lines file, or those that come with demur; other keys of a line are passed over.

    Raises:
        SpecError: a line is not a prompt, or there is none.
        ArtifactError: the file cannot be read.
    """
    from app.measure.builtin_prompts import BUILTIN_PROMPTS
    from models.errors import SpecError
    from probes.fitting.json_lines import read_records

    if path is None:
        return [CalibrationPrompt(prompt=prompt) for prompt in BUILTIN_PROMPTS]
    form = 'a line is {"prompt": "..."}, with "completion" or "answer" where they are known'
    found = [prompt for _, prompt in read_records(path, CalibrationPrompt, SpecError, form)]
    if not found:
        raise SpecError(f"{path} holds no prompt")
    return found


def measure_texts(
    loaded: "LoadedCheckpoint", prompts: Sequence[CalibrationPrompt], count: int, sampling: Sampling
) -> "SignalCalibration":
    """Read `count` texts: prompts in turn, each with its completion or with one that the model writes, and
    that is another one each time.

    Raises:
        SpecError: a prompt is too long, or nothing was written.
    """
    from app.decoding.calibration.calibration import TextMeasurement
    from app.engine.engine import Engine
    from app.engine.types import EngineLimits
    from app.measure import calibrating
    from models.errors import SpecError

    asked = [prompts[turn % len(prompts)] for turn in range(count)]
    documents = [each for each in _documents(loaded, asked, sampling) if each.completion_ids]
    if not documents:
        raise SpecError(f"none of {count} texts has a token to read; give other prompts or more --max-tokens")
    longest = max(len(each.prompt_ids) + len(each.completion_ids) for each in documents)
    limits = EngineLimits(max_rows=1, max_context=longest)
    with Engine(loaded, limits) as engine, progress("reading", len(documents)) as done:
        readings = calibrating.read_documents(engine, documents, lambda: done(1))
    given = sum(each.completion is not None for each in asked)
    measurement = TextMeasurement(
        prompts=hashlib.sha256(json.dumps([each.prompt for each in prompts]).encode()).hexdigest(),
        texts=len(documents),
        given=given,
        temperature=sampling.temperature,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
    )
    return calibrating.calibrate(readings, measurement, loaded.identity)


def count_given_risk(
    loaded: "LoadedCheckpoint",
    prompts: Sequence[CalibrationPrompt],
    count: int | None,
    sampling: Sampling,
    score: Callable[[str, str], float],
) -> "RiskTable | None":
    """Answer prompts whose answer is known greedily, all or so many, and count the wrong answers by score of
    doubt; None where no answer is known.

    Raises:
        ProbesError: the probes of the checkpoint do not fit it.
    """
    from app.commands.risk_counts import answer_questions
    from app.decoding.calibration.risk_table import RiskTable
    from app.decoding.core.types import StoppingParams
    from app.measure.risk_counting import Question

    known = [(each.prompt, each.answer) for each in prompts if each.answer][:count]
    if not known:
        return None

    def question(prompt: str, answer: str) -> Question:
        return Question(_prompt_ids(loaded, prompt), lambda text: score(text, answer) < 1)

    questions = [question(prompt, answer) for prompt, answer in known]
    stopping = StoppingParams(sampling.max_tokens, sampling.stop)
    scores = answer_questions(loaded, questions, len(questions), stopping)
    return RiskTable(
        split="given", max_tokens=sampling.max_tokens, stop=sampling.stop, seed=sampling.seed, scores=scores
    )


def _documents(
    loaded: "LoadedCheckpoint", asked: Sequence[CalibrationPrompt], sampling: Sampling
) -> "list[Document]":
    from app.decoding.core.types import StoppingParams
    from app.measure.calibrating import Document
    from app.measure.writing import Beginning, write_all

    prompts = [_prompt_ids(loaded, each.prompt) for each in asked]
    beginnings = [
        Beginning(ids, _seed(sampling.seed, turn))
        for turn, (each, ids) in enumerate(zip(asked, prompts, strict=True))
        if each.completion is None
    ]
    stopping = StoppingParams(sampling.max_tokens, sampling.stop)
    with progress("writing", len(beginnings)) as done:
        written = [
            each.token_ids
            for each in write_all(loaded, beginnings, sampling.temperature, stopping)
            if done(1) is None
        ]
    own = iter(written)
    return [
        Document(ids, next(own) if each.completion is None else _given_ids(loaded, ids, each.completion))
        for each, ids in zip(asked, prompts, strict=True)
    ]


def _prompt_ids(loaded: "LoadedCheckpoint", prompt: str) -> tuple[int, ...]:
    from models.errors import SpecError

    ids = tuple(loaded.tokenizer.encode_prompt(prompt))
    context = loaded.model.spec.context_length
    if not 0 < len(ids) < context:
        raise SpecError(
            f"the prompt {prompt[:40]!r} has {len(ids)} tokens; the model takes 1 to {context - 1}"
        )
    return ids


def _given_ids(loaded: "LoadedCheckpoint", prompt_ids: tuple[int, ...], completion: str) -> tuple[int, ...]:
    """The tokens of a completion and the one that ends it, as far as the model's context goes."""
    spec = loaded.model.spec
    end = () if spec.end_token_id is None else (spec.end_token_id,)
    return (*loaded.tokenizer.encode(completion), *end)[: spec.context_length - len(prompt_ids)]


def _seed(seed: int, turn: int) -> int:
    return int.from_bytes(hashlib.sha256(f"calibrate/{seed}/{turn}".encode()).digest()[:6])
