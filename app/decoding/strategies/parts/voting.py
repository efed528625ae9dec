"""Votes of several texts on one answer: who wins, when it is certain, and how it is told."""

from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from math import comb
from typing import Literal

from app.decoding.core.sequence import Sequence
from app.decoding.strategies.parts.answers import read_answer

Ties = Literal["earliest", "logprob"]
"""Of answers with equal votes, the one that came first, or that of the likeliest text."""

# Sums of floats that should be equal may differ in their last digits.
_TIE = 1e-9


@dataclass(frozen=True)
class Ballot:
    """One text's vote. answer: None if there is none in the text, which then does not vote.

    logprob: of the text, in nats, by which equals are told apart.
    """

    answer: str | None
    logprob: float
    weight: float = 1.0


def ballot_of(sequence: Sequence, marker: str, weight: float = 1.0) -> Ballot:
    """A sequence's vote for the answer that it gives."""
    return Ballot(read_answer(sequence.text, marker), total_logprob(sequence), weight)


def total_logprob(sequence: Sequence) -> float:
    """Log-probability of a text, the sum over its tokens, in nats."""
    return sum(token.logprob for token in sequence.tokens)


def tally(ballots: Items[Ballot]) -> dict[str, float]:
    """Sum of weights by answer, in the order in which answers came first."""
    sums: dict[str, float] = {}
    for ballot in ballots:
        if ballot.answer is not None:
            sums[ballot.answer] = sums.get(ballot.answer, 0.0) + ballot.weight
    return sums


def elect(ballots: Items[Ballot], ties: Ties) -> int:
    """Index of the text that speaks for the winning answer: the likeliest of those that give it, the earlier
    of equals. Where no text gives an answer, the likeliest of all."""
    sums = tally(ballots)
    electable = range(len(ballots))
    if sums:
        most = max(sums.values())
        best = [answer for answer, total in sums.items() if total >= most - _TIE]
        if ties == "earliest":
            best = best[:1]
        electable = [index for index in electable if ballots[index].answer in best]
    return max(electable, key=lambda index: ballots[index].logprob)


def told(sums: Mapping[str, float]) -> str:
    """Answers and what they have, most first, as a trace tells them."""
    votes = sorted(sums.items(), key=lambda each: -each[1])
    return ", ".join(f"{answer}: {round(total, 4):g}" for answer, total in votes)


def is_decided(counts: Mapping[str, float], outstanding: int) -> bool:
    """Whether `outstanding` further votes of weight 1 cannot change who has most, nor make a tie."""
    first, second = _leading(counts)
    return first > second + outstanding


def lead_probability(counts: Mapping[str, float]) -> float:
    """Probability that the leading answer is likelier than the next, as votes of weight 1 say.

    Of the votes for the two, the share of the first is Beta(first + 1, second + 1) after a uniform prior;
    this is P(share > 1/2) (Aggarwal et al., "Let's sample step by step", arXiv 2305.11860). 1/2 without
    votes.
    """
    first, second = (round(count) for count in _leading(counts))
    draws = first + second + 1
    # P(Beta(a + 1, b + 1) > 1/2) = P(Binomial(a + b + 1, 1/2) <= a), exact in whole numbers.
    return sum(comb(draws, k) for k in range(first + 1)) / 2**draws


def _leading(counts: Mapping[str, float]) -> tuple[float, float]:
    first, second, *_ = (*sorted(counts.values(), reverse=True), 0.0, 0.0)
    return first, second


def conclude(
    sequences: Items[Sequence],
    ballots: Items[Ballot],
    ties: Ties,
    detail: Mapping[str, float | int | str] | None = None,
) -> Sequence:
    """The sequence that wins, with every vote and the result in the trace."""
    for sequence, ballot in zip(sequences, ballots, strict=True):
        cast = {} if ballot.answer is None else {"answer": ballot.answer, "weight": ballot.weight}
        sequence.record("ballot", {**cast, "logprob": ballot.logprob})
    elected = elect(ballots, ties)
    winner, sums = sequences[elected], tally(ballots)
    winner.record(
        "vote",
        {
            "answer": ballots[elected].answer or "",
            "votes": told(sums),
            "samples": len(ballots),
            "discarded": winner.ledger.spent - winner.position,
            **(detail or {}),
        },
    )
    return winner
