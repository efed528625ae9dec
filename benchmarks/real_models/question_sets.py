"""The questions that real models are asked: own ones, drawn by seed, and those of reasoning-gym.

Every question is one line and has a worked answer of a few lines, the last of which is `Answer: ...`. Two
solved ones stand before each that is asked, so that a base model knows what to write; no example and no
question of another split is asked.
"""

import random
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from app.compare.problem_sets.gym_set import GymSet
from app.compare.problem_sets.sources import GymProblems
from benchmarks.real_models.settings import QuestionSet
from models.files import write_atomically

FACTS = Path(__file__).with_name("facts.txt")
SHOWN = 2
"""Solved questions before each that is asked."""
MARKER = "Answer:"

_ASKED = {
    "capital": "What is the capital of {}?",
    "symbol": "What is the symbol of {}?",
    "number": "What is the atomic number of {}?",
}
_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry")
_THINGS = ("apples", "books", "coins", "pens", "shells", "cards")
_ROMAN = ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
_MOST_REPEATED = 1_000

Draw = random.Random


@dataclass(frozen=True)
class Question:
    """A question. steps: lines to be written before the answer, each with its line break."""

    text: str
    answer: str
    steps: str = ""

    @property
    def asked(self) -> str:
        """What stands before what the model writes."""
        return f"Question: {self.text}\n"

    @property
    def solved(self) -> str:
        """The question with its answer, as it is shown as an example."""
        return f"{self.asked}{self.steps}{MARKER} {self.answer}\n\n"


def fact(draw: Draw) -> Question:
    """Capitals, and symbols and numbers of elements."""
    lines = [line for line in FACTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    kind, name, answer = draw.choice(lines).split(", ")
    return Question(_ASKED[kind].format(name), answer)


def chain(draw: Draw) -> Question:
    """Three numbers to be added, one after the other."""
    first, second, third = (draw.randint(5, 30) for _ in range(3))
    both, total = first + second, first + second + third
    steps = f"{first} + {second} = {both}\n{both} + {third} = {total}\n"
    return Question(f"Add {first}, {second}, {third}.", str(total), steps)


def boxes(draw: Draw) -> Question:
    """A word problem of two steps."""
    name, things = draw.choice(_NAMES), draw.choice(_THINGS)
    count, inside, more = draw.randint(2, 6), draw.randint(2, 9), draw.randint(2, 12)
    bought = count * inside
    text = f"{name} buys {count} boxes of {inside} {things} and has {more} {things} already. How many now?"
    steps = f"{count} * {inside} = {bought}\n{bought} + {more} = {bought + more}\n"
    return Question(text, str(bought + more), steps)


def product(draw: Draw) -> Question:
    """Two numbers up to 12 and 20 to be multiplied."""
    first, second = draw.randint(2, 12), draw.randint(2, 20)
    return Question(f"What is {first} * {second}?", str(first * second))


def total(draw: Draw) -> Question:
    """Two numbers of one or two digits to be added."""
    first, second = draw.randint(5, 99), draw.randint(5, 99)
    return Question(f"What is {first} + {second}?", str(first + second))


def roman(draw: Draw) -> Question:
    """A Roman numeral to be read."""
    number = rest = draw.randint(1, 299)
    written = ""
    for value, letters in _ROMAN:
        written += letters * (rest // value)
        rest %= value
    return Question(f"Which number is {written}?", str(number))


OWN: Mapping[str, Callable[[Draw], Question]] = {
    each.__name__: each for each in (fact, chain, boxes, product, total, roman)
}


@dataclass(frozen=True)
class Split:
    """Questions of one use, with ids that no other split has, and what stands before each."""

    name: str
    shown: str
    questions: tuple[Question, ...]

    def items(self, prefix: str = "") -> list[dict[str, str]]:
        """The problems as a comparison takes them."""
        return [
            {"id": f"{prefix}{self.name}-{place}", "prompt": self.shown + each.asked, "answer": each.answer}
            for place, each in enumerate(self.questions)
        ]


def splits_of(
    name: str, asked: QuestionSet, counts: Mapping[str, int], seed: int, source_seconds: float = 600.0
) -> dict[str, Split]:
    """The questions of a set by split; the examples come from what is in none.

    Raises:
        ValueError: there are too few different questions.
    """
    if asked.generator is not None:
        return _of_gym(asked, counts, seed, source_seconds)
    draw = random.Random(f"{name}/{seed}")
    needed = SHOWN + sum(counts.values())
    drawn: dict[str, Question] = {}
    repeated = 0
    while len(drawn) < needed:
        question = OWN[asked.own or name](draw)
        repeated = repeated + 1 if question.text in drawn else 0
        if repeated > _MOST_REPEATED:
            raise ValueError(f"the set {name} has {len(drawn)} different questions, fewer than {needed}")
        drawn.setdefault(question.text, question)
    questions = iter(drawn.values())
    shown = "".join(next(questions).solved for _ in range(SHOWN))
    return {
        split: Split(split, shown, tuple(next(questions) for _ in range(count)))
        for split, count in counts.items()
    }


def _of_gym(asked: QuestionSet, counts: Mapping[str, int], seed: int, seconds: float) -> dict[str, Split]:
    """Each split from the generator's split of that name; its scorer compares with the answer as text."""

    def drawn(split: str, count: int) -> list[Question]:
        source = GymProblems.model_validate(
            {
                "source": "reasoning_gym",
                "name": asked.generator,
                "settings": asked.settings,
                "split": split,
                "count": count,
            }
        )
        with closing(GymSet(source, seed, seconds)) as problems:
            return [Question(each.prompt.strip(), str(each.answer)) for each in problems.draw()]

    train = drawn("train", SHOWN + counts["train"])
    shown = "".join(each.solved for each in train[:SHOWN])
    rest = {split: drawn(split, count) for split, count in counts.items() if split != "train"}
    return {
        split: Split(split, shown, tuple(train[SHOWN:] if split == "train" else rest[split]))
        for split in counts
    }


def kept_splits(path: Path, draw: Callable[[], dict[str, Split]]) -> dict[str, Split]:
    """The questions that a file keeps, drawn if there is none: generators take seconds to begin."""
    if path.exists():
        return _KEPT.validate_json(path.read_bytes())
    found = draw()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, _KEPT.dump_json(found, indent=1))
    return found


_KEPT = TypeAdapter(dict[str, Split])
