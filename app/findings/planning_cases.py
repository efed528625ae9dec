"""What a probe may be asked of the quantities of a problem: is it needed, and can it be computed next."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from app.findings.branching import Branches
from models.corpora.abilities import Graph, require
from models.corpora.corpus import Corpus, DrawnProblem
from models.corpora.drawing import problems
from models.corpora.splits import Split
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class AskedQuantity:
    """A quantity, and what holds of it at the place where a probe reads.

    token: with which a step about it begins. label: what the probe is to tell.
    distance: of a needed one, steps from the question along what uses what; None of another.
    """

    name: str
    token: int
    label: bool
    distance: int | None


@dataclass(frozen=True)
class Case:
    """A text, up to where a probe reads, and the quantities that it is asked about there."""

    graph: Graph
    text: Sequence[int]
    asked: Sequence[AskedQuantity]

    @property
    def branches(self) -> Branches:
        return Branches(self.text, [each.token for each in self.asked])


def drawn_problems(corpus: Corpus, split: Split, count: int, sizes: range, seed: int) -> list[DrawnProblem]:
    """Fresh problems of a split, all sizes alike."""
    return list(islice(problems(corpus, split, seed, sizes), count))


def needed_cases(corpus: Corpus, tokenizer: Tokenizer, drawn: Sequence[DrawnProblem]) -> list[Case]:
    """At the end of the question: is a quantity needed?

    Asked are those that a quantity uses which is itself mentioned (`inner` in `models.corpora.surface`): of
    the others the question or the decoys' sink tell it by their words.
    """
    found: list[Case] = []
    for problem in drawn:
        graph = require(corpus, "graph").graph(problem.prompt)
        distances = _distances(graph)
        asked = [
            AskedQuantity(name, _token(tokenizer, name), name in distances, distances.get(name))
            for name in _inner(graph)
        ]
        if asked:
            found.append(Case(graph, _text(tokenizer, problem, 0), asked))
    return found


def can_next_cases(
    corpus: Corpus, tokenizer: Tokenizer, drawn: Sequence[DrawnProblem], seed: int
) -> list[Case]:
    """Before a step of a right solution, drawn by chance: is every quantity computed that this one uses?

    Asked are all that are mentioned and not yet computed.
    """
    random = Random(f"can_next/{seed}")
    found: list[Case] = []
    for problem in drawn:
        graph = require(corpus, "graph").graph(problem.prompt)
        steps = random.randrange(problem.size)
        known = {step.split(" ", 1)[0].lower() for step in problem.solution.split(". ")[:steps]}
        distances = _distances(graph)
        mentioned = {operand for each in graph.quantities for operand in each.operands} | {graph.question}
        asked = [
            AskedQuantity(
                each.name,
                _token(tokenizer, each.name),
                known.issuperset(each.operands),
                distances.get(each.name),
            )
            for each in graph.quantities
            if each.name in mentioned and each.name not in known
        ]
        found.append(Case(graph, _text(tokenizer, problem, steps), asked))
    return found


def _token(tokenizer: Tokenizer, name: str) -> int:
    return tokenizer.phrase_id(name.capitalize())


def _text(tokenizer: Tokenizer, problem: DrawnProblem, steps: int) -> list[int]:
    """The problem, the line break after it, and so many steps of its solution."""
    ends, phrases = 0, [*problem.problem_phrases, problem.solution_phrases[0]]
    for phrase in problem.solution_phrases[1:]:
        if ends == steps:
            break
        phrases.append(phrase)
        ends += phrase == ". "
    return [token for phrase in phrases for token in tokenizer.encode(phrase)]


def _inner(graph: Graph) -> list[str]:
    mentioned = {operand for each in graph.quantities for operand in each.operands} | {graph.question}
    used = {operand for each in graph.quantities if each.name in mentioned for operand in each.operands}
    return [each.name for each in graph.quantities if each.name in used]


def _distances(graph: Graph) -> dict[str, int]:
    """Of every needed quantity the fewest steps from the question."""
    operands = {each.name: each.operands for each in graph.quantities}
    found = {graph.question: 0}
    waiting = [graph.question]
    for name in waiting:
        for operand in operands[name]:
            if operand not in found:
                found[operand] = found[name] + 1
                waiting.append(operand)
    return found
