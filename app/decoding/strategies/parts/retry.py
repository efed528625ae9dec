"""Write a text unit by unit, and take a unit back and try again for as long as somebody objects to it.

What `retry_upon_regret`, `random_retry` and `oracle_retry` have in common; they differ in who objects.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.decoding.core.sequence import Sequence
from app.decoding.core.signals import ROUNDING
from app.decoding.core.span import Span
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.parts.steps import StepEnds, step_begin, step_written

LONGEST_QUOTE = 80
"""Characters of a rejected text that the trace shows."""

Detail = Mapping[str, float | int | str]


class Retry(BaseModel):
    """How a rejected step is tried again, how often, and what happens when that was too often."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    per_step: int = Field(default=4, ge=0, le=64, description="Retries of one step, at most.")
    per_answer: int = Field(default=12, ge=0, le=1024, description="Retries of a whole answer, at most.")
    first: Literal["request", "greedy"] = Field(
        default="request",
        description="How a step is first written: as the request samples, or the likeliest tokens.",
    )
    temperature: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Temperature of the retries; the rest of the request's sampling stays.",
    )
    penalty: float = Field(
        default=4.0,
        ge=0,
        le=100,
        description="What the logit of a rejected token loses, in nats, in later retries that begin alike.",
    )
    penalised_tokens: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="How many tokens of a rejected step, from its first, are penalised.",
    )
    give_up: Literal["keep_best", "keep_last", "stop", "abstain"] = Field(
        default="keep_best",
        description="When no retry is left: go on with the attempt to which there was least objection (of "
        "equals, the earliest), go on with the last one, end the text before the step, or give no answer.",
    )

    @model_validator(mode="after")
    def _retries_differ(self) -> "Retry":
        if self.temperature == 0 and self.penalty == 0 and self.per_step and self.per_answer:
            raise ValueError(
                "temperature is 0 and penalty is 0, so that a retry after a retry would be the same text "
                "again; raise one of them"
            )
        return self


@dataclass(frozen=True)
class Objection:
    """Why a step is not accepted.

    excess: how strongly; the attempt with the lowest is the best one. detail: for the trace.
    """

    excess: float
    detail: Detail


@dataclass(frozen=True)
class Attempt:
    """A step as far as it is written, how often it was rejected before, and whether it is complete."""

    span: Span
    rejected: int
    complete: bool


Check = Callable[[Sequence, Attempt], Objection | None]
"""Asked after each token of a step."""


@dataclass(frozen=True)
class _Rejected:
    sequence: Sequence
    objection: Objection
    number: int


async def write_checked(
    sequence: Sequence, ends: StepEnds, check: Check, retry: Retry, rule: str
) -> Sequence:
    """Write the text to its end, each step as `retry` says for as long as `check` objects to it.

    A step is committed once it is accepted or retries are used up. A rejected attempt is taken back from its
    first token on; tokens that close a step but stand alone before it stay.

    Args:
        ends: what a step ends with; if empty, every token is a step of its own.
        rule: name of what takes tokens back in the trace.

    Returns:
        The sequence that holds the text: `sequence`, or one forked from it.
    """
    left = retry.per_answer
    while not sequence.finished:
        sequence, retries = await _write_step(sequence, ends, check, retry, rule, left)
        left -= retries
        sequence.commit()
    return sequence


async def _write_step(
    sequence: Sequence, ends: StepEnds, check: Check, retry: Retry, rule: str, left: int
) -> tuple[Sequence, int]:
    """The sequence with one more step, and how many retries it took."""
    start = sequence.position
    allowed = min(retry.per_step, left)
    rejected: list[tuple[int, ...]] = []
    best: _Rejected | None = None
    while True:
        objection = await _write_attempt(sequence, start, ends, check, retry, rejected)
        if objection is None:
            _let_go(sequence, best, start, ends)
            return sequence, len(rejected)
        attempt = _Rejected(sequence, objection, len(rejected) + 1)
        is_best = best is None or objection.excess < best.objection.excess - ROUNDING
        if len(rejected) == allowed:
            if best is None or is_best:
                _let_go(sequence, best, start, ends)
                best = attempt
            return await _give_up(attempt, best, start, ends, retry, rule), len(rejected)
        begin = _rewound_to(sequence, start, ends)
        rejected.append(_ids(sequence, begin))
        detail = {
            "attempt": attempt.number,
            **objection.detail,
            "text": sequence.span(begin).text[:LONGEST_QUOTE],
            "temperature": retry.temperature,
            "penalty": retry.penalty,
        }
        if retry.give_up == "keep_best" and is_best:
            _let_go(sequence, best, start, ends)
            best = attempt
            # The attempt stays as it is, in its place in the cache; the retry goes on in a fork.
            detail |= {"discarded": 0, "set_aside": sequence.position - begin}
            (sequence,) = sequence.fork()
        sequence.rewind(begin, rule, detail)


async def _write_attempt(
    sequence: Sequence,
    start: int,
    ends: StepEnds,
    check: Check,
    retry: Retry,
    rejected: list[tuple[int, ...]],
) -> Objection | None:
    """Write on until the step that begins at `start` is complete, or there is an objection to it."""
    is_complete = step_written(ends) if ends else _one_token
    complete = sequence.position > start and is_complete(sequence.span(start))
    while not (complete or sequence.finished):
        begin = step_begin(sequence.span(start), ends)
        await sequence.next(_sampling(sequence, retry, rejected, _ids(sequence, begin)))
        span = sequence.span(start)
        complete = is_complete(span)
        objection = check(sequence, Attempt(span, len(rejected), complete or sequence.finished))
        if objection is not None:
            return objection
    return None


async def _give_up(
    last: _Rejected, kept: _Rejected, start: int, ends: StepEnds, retry: Retry, rule: str
) -> Sequence:
    """What becomes of a step to which there is an objection when no retry is left."""
    sequence = last.sequence
    detail = {"attempt": last.number, **last.objection.detail}
    reason = f"{rule}: no retries left"
    match retry.give_up:
        case "stop":
            sequence.rewind(_rewound_to(sequence, start, ends), "give_up", detail)
            sequence.finish(reason)
        case "abstain":
            sequence.decline(reason, detail)
        case "keep_best" | "keep_last":
            detail |= {"kept": kept.number}
            if kept is not last:
                lost = sequence.position - _rewound_to(sequence, start, ends)
                sequence = kept.sequence
                restored = sequence.position - _rewound_to(sequence, start, ends)
                detail |= {"discarded": lost, "restored": restored}
            sequence.record("give_up", detail)
            await _write_attempt(sequence, start, ends, _no_objection, retry, [])
    return sequence


def _let_go(sequence: Sequence, best: _Rejected | None, start: int, ends: StepEnds) -> None:
    """Note that an attempt that had been set aside is not needed any more."""
    if best is not None:
        lost = best.sequence.position - _rewound_to(best.sequence, start, ends)
        sequence.record("let_go", {"attempt": best.number, "discarded": lost})


def _sampling(
    sequence: Sequence, retry: Retry, rejected: list[tuple[int, ...]], written: tuple[int, ...]
) -> SamplingParams:
    """The chain for the next token of a step, of which `written` is there already."""
    base = sequence.sampling
    if not rejected:
        return replace(base, temperature=0.0) if retry.first == "greedy" else base
    place = len(written)
    biases = dict(base.logit_bias)
    if retry.penalty and place < retry.penalised_tokens:
        for ids in rejected:
            if len(ids) > place and ids[:place] == written:
                biases[ids[place]] = max(-100.0, biases.get(ids[place], 0.0) - retry.penalty)
    return replace(base, logit_bias=biases).at_temperature(retry.temperature)


def _rewound_to(sequence: Sequence, start: int, ends: StepEnds) -> int:
    """Where a rejected attempt at the step is taken back to."""
    begin = step_begin(sequence.span(start), ends)
    return begin if begin < sequence.position else start


def _ids(sequence: Sequence, begin: int) -> tuple[int, ...]:
    return tuple(token.id for token in sequence.span(begin).tokens)


def _one_token(_: Span) -> bool:
    return True


def _no_objection(_sequence: Sequence, _attempt: Attempt) -> None:
    return None
