"""Counting how often a model's greedy answers are wrong where its doubt is at most so high."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from app.decoding.calibration.doubt import DOUBTS, Doubt, DoubtName
from app.decoding.calibration.risk import count
from app.decoding.calibration.risk_table import RiskCounts
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.engine import Engine
from app.engine.stream import Stream
from app.engine.types import GenerationRequest
from app.measure.asking import answer_all

_GRID = 50
_AT_ONCE = 32


@dataclass(frozen=True)
class Question:
    """A prompt, and whether a text answers it wrongly."""

    prompt_ids: tuple[int, ...]
    is_wrong: Callable[[str], bool]


@dataclass(frozen=True)
class Graded:
    """An answer's scores of doubt, those whose signals there are, and whether it is wrong."""

    doubts: dict[DoubtName, float]
    wrong: bool


def grade(
    engine: Engine,
    questions: Iterable[Question],
    on_question: Callable[[], None] = lambda: None,
    stopping: StoppingParams | None = None,
) -> Iterator[Graded]:
    """Answer questions greedily, several at a time, in order.

    Args:
        stopping: where answers end, besides where the model ends them; by default the model's context.

    Raises:
        ContextLengthError: a prompt does not fit the model's context.
    """
    doubts: dict[DoubtName, Doubt] = {
        name: doubt for name, doubt in DOUBTS.items() if doubt.signal in engine.signals
    }
    signals = tuple(doubt.signal for doubt in doubts.values())
    for question, answer in answer_all(
        questions, lambda each: _submit(engine, each, signals, stopping), _AT_ONCE
    ):
        read = [token.signals for token in answer.done.text_tokens]
        scores: dict[DoubtName, float] = {name: doubt.of(read) for name, doubt in doubts.items()}
        yield Graded(scores, question.is_wrong(answer.text))
        on_question()


def count_risks(graded: Sequence[Graded]) -> dict[DoubtName, RiskCounts]:
    """Counts by score; every second answer is for tuning and decides on the grid, the others are tested.

    The grid is the 2%, 4%, ... 100% quantile of the tuning scores. A score that no tuning answer has is left
    out.
    """
    tables: dict[DoubtName, RiskCounts] = {}
    for name in graded[0].doubts if graded else ():
        parts = [[(each.doubts[name], each.wrong) for each in graded[start::2]] for start in (0, 1)]
        finite = sorted(score for score, _ in parts[0] if isfinite(score))
        if not finite:
            continue
        ranks = (-(-len(finite) * step // _GRID) for step in range(1, _GRID + 1))
        grid = sorted({finite[rank - 1] for rank in ranks})
        tuning, tested = (
            count([score for score, _ in part], [wrong for _, wrong in part], grid) for part in parts
        )
        tables[name] = RiskCounts(thresholds=tuple(grid), tuning=tuning, tested=tested)
    return tables


def _submit(
    engine: Engine, question: Question, signals: tuple[str, ...], stopping: StoppingParams | None
) -> Stream:
    room = engine.context_length - len(question.prompt_ids)
    ending = StoppingParams(room)
    if stopping is not None:
        ending = StoppingParams(min(room, stopping.max_tokens), stopping.stop)
    greedy = SamplingParams(temperature=0.0)
    return engine.submit(GenerationRequest(question.prompt_ids, Greedy(), greedy, ending, signals=signals))
