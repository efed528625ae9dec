"""Beam search: the likeliest continuations side by side, and in the end the best of those that ended.

Keeps the `width` likeliest unfinished texts and extends each by every likely token, until no text can
become better than those that ended. Of those it returns the one with the highest

    score = log p(text) / length ** length_penalty,   length in tokens, the end token included,

and for the choices of one request (`n`) the best, the second best and so on. Each choice searches, and is
billed, for itself; what they have in common, which is everything, the engine computes once while it has
places in its cache for all. Where fewer texts are possible than choices, those left over decline.

As transformers' beam search does it: of the (1 + number of end tokens) * width likeliest extensions those
among the first `width` that end the text are finished, and the first `width` of the others run on; when
`width` texts are finished it stops at once (`early_stopping` true), or when the best running text
would not beat the worst finished one at its present length (false) or at the longest length that a
positive length penalty could favour ("never"). Width 1 is greedy decoding, unless "never" lets it write
on behind an end.

Diverse beam search (Vijayakumar et al., arXiv 1610.02424): the beams form groups, which extend one after
the other; a token loses `diversity_penalty` nats for every beam of an earlier group that has just taken
it (Hamming diversity). As there, the penalty decides only what is chosen; in transformers it also is in
the score, which puts later groups at a disadvantage when the best of all is taken.

p is the model's distribution after penalties and logit bias, normalised again, as transformers does
when told to. Temperature and the transforms that cut tokens off play no part.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, model_validator

from app.decoding.core.gather import gather
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.branches import fork_each

EarlyStopping = bool | Literal["never"]


@dataclass(frozen=True)
class Hypothesis:
    """A text and its log-probability in nats, the sum over its tokens."""

    sequence: Sequence
    logprob: float

    def with_token(self, token: Token) -> "Hypothesis":
        (child,) = fork_each(self.sequence, [token])
        return Hypothesis(child, self.logprob + _logprob(token))


@dataclass
class BeamGroup:
    """Beams that compete with each other; `finished` with their scores, best first."""

    running: list[Hypothesis]
    finished: list[tuple[float, Hypothesis]] = field(default_factory=list[tuple[float, Hypothesis]])
    is_open: bool = True


class Beam(Strategy):
    """Searches for the likeliest text with several beams, which may be kept diverse."""

    kind: Literal["beam"] = "beam"
    width: int = Field(default=4, ge=1, le=64, description="Beams, over all groups.")
    length_penalty: float = Field(
        default=1.0,
        ge=-10,
        le=10,
        description="Power of the length that log-probabilities are divided by: above 0 favours long texts.",
    )
    early_stopping: EarlyStopping = Field(
        default=False,
        description='true: stop when `width` texts ended; false: also when no better one is likely; "never": '
        "only when no better one is possible.",
    )
    groups: int = Field(default=1, ge=1, le=64, description="Groups of beams, for diverse beam search.")
    diversity_penalty: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Nats that a token loses for each beam of an earlier group that has just taken it.",
    )

    @model_validator(mode="after")
    def _check_groups(self) -> "Beam":
        if self.width % self.groups:
            raise ValueError(
                f"width is {self.width} and groups {self.groups}; width must be a multiple of groups."
            )
        if self.groups > 1 and self.diversity_penalty == 0:
            raise ValueError(
                f"groups is {self.groups} and diversity_penalty 0, so all groups would write the same; give "
                "a penalty above 0, such as 0.5, or leave groups out."
            )
        if self.groups == 1 and self.diversity_penalty > 0:
            raise ValueError(
                f"diversity_penalty is {self.diversity_penalty}, but there is only one group; give groups "
                "from 2 up, or leave the penalty out."
            )
        return self

    async def decode(self, sequence: Sequence) -> Sequence:
        if sequence.finished:
            return sequence
        kept = self._size * (1 + max(1, _end_tokens(sequence)))
        # Each beam of an earlier group can push one more token out of those that are kept.
        looked_at = kept + self.width - self._size
        starts = [sequence] if self.groups == 1 else sequence.fork(self.groups)
        groups = [BeamGroup([Hypothesis(start, 0.0)]) for start in starts]
        while running := [each.sequence for group in groups if group.is_open for each in group.running]:
            looks = iter(await gather(*(each.candidates(looked_at) for each in running)))
            taken = Counter[int]()
            for group in (each for each in groups if each.is_open):
                self._extend(group, [next(looks) for _ in group.running], taken, kept)
                taken.update(each.sequence.tokens[-1].id for each in group.running)
            _commit_the_only_one(groups)
        return _chosen(groups, sequence.choice)

    @property
    def texts(self) -> int:
        """How many different texts a search may end with."""
        return self.width

    @property
    def _size(self) -> int:
        """Beams per group."""
        return self.width // self.groups

    def _extend(
        self, group: BeamGroup, looks: list[tuple[Token, ...]], taken: Counter[int], kept: int
    ) -> None:
        """One step of a group; `looks` are the candidates of each of its running beams."""
        pairs = [
            (parent.logprob + _logprob(token) - self.diversity_penalty * taken[token.id], parent, token)
            for parent, tokens in zip(group.running, looks, strict=True)
            for token in tokens
        ]
        pairs.sort(key=lambda each: -each[0])
        children = [parent.with_token(token) for _, parent, token in pairs[:kept]]
        for child in children[: self._size]:
            if child.sequence.finished:
                score = self._score(child.logprob, child.sequence.position)
                group.finished.append((score, child))
                child.sequence.record("beam_finished", {"logprob": child.logprob, "score": score})
        group.finished.sort(key=lambda each: -each[0])
        del group.finished[self._size :]
        group.running = [each for each in children if not each.sequence.finished][: self._size]
        group.is_open = self._may_improve(group)

    def _may_improve(self, group: BeamGroup) -> bool:
        if not group.running:
            return False
        if len(group.finished) < self._size:
            return True
        if self.early_stopping is True:
            return False
        sequence = group.running[0].sequence
        length = sequence.position
        if self.early_stopping == "never" and self.length_penalty > 0:
            length = _longest(sequence)
        best = max(self._score(each.logprob, length) for each in group.running)
        return best > group.finished[-1][0]

    def _score(self, logprob: float, length: int) -> float:
        return logprob / length**self.length_penalty


def _logprob(candidate: Token) -> float:
    """After penalties and logit bias."""
    assert candidate.adjusted is not None, "not a candidate"
    return candidate.adjusted


def _end_tokens(sequence: Sequence) -> int:
    """How many tokens end a text."""
    stopping = sequence.spec.stopping
    ends = set(stopping.stop_token_ids)
    if not stopping.ignore_eos:
        ends.update(sequence.spec.end_token_ids)
    return len(ends)


def _longest(sequence: Sequence) -> int:
    """Most tokens that a text may have."""
    spec = sequence.spec
    return min(spec.stopping.max_tokens, spec.context_length - len(spec.prompt_ids))


def _commit_the_only_one(groups: list[BeamGroup]) -> None:
    """A text that is alone cannot lose to another any more; all that come will begin with it."""
    alive = [each for group in groups for each in group.running]
    if len(alive) == 1 and not any(group.finished for group in groups):
        alive[0].sequence.commit()


def _ranked(groups: list[BeamGroup]) -> list[tuple[float, Hypothesis]]:
    """The texts that ended with their scores, best first; each once, whichever groups wrote it."""
    ended = sorted((each for group in groups for each in group.finished), key=lambda each: -each[0])
    distinct: dict[tuple[int, ...], tuple[float, Hypothesis]] = {}
    for score, found in ended:
        distinct.setdefault(tuple(token.id for token in found.sequence.tokens), (score, found))
    return list(distinct.values())


def _chosen(groups: list[BeamGroup], place: int) -> Sequence:
    """The best, or the one at a later place, with an account of what it was chosen from."""
    ended = _ranked(groups)
    if place >= len(ended):
        sequence = ended[0][1].sequence
        sequence.decline("beam: fewer texts than choices", {"texts": len(ended), "place": place + 1})
        return sequence
    score, found = ended[place]
    sequence = found.sequence
    detail: dict[str, float | int | str] = {
        "score": score,
        "logprob": found.logprob,
        "finished": sum(len(group.finished) for group in groups),
        "discarded": sequence.ledger.spent - sequence.position,
    }
    if place:
        detail["place"] = place + 1
    if place + 1 < len(ended):
        next_score, other = ended[place + 1]
        detail |= {"second_score": next_score, "second_text": other.sequence.text}
    sequence.record("beam", detail)
    return sequence
