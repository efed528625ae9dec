"""Stochastic backtracking (VGB): a random walk on the tree of texts, guided by a probe.

Value-guided sampling with backtracking (Rohatgi et al., "Taming Imperfect Process Verifiers", arXiv
2510.03149), which generalises the random walk of Sinclair & Jerrum (1989), over steps instead of tokens.

The nodes are the texts that end where a step ends, the leaves those that have ended; c is a child of y if
it is y and one step more, which the request's sampling writes with probability pi(c | y). With V(y) in
[0, 1] the aggregate of 1 - p over the probe's readings in y, V = 1 at the root, the walk goes from y

    to its parent with probability proportional to      b V(y)
    to its child c with probability proportional to     (1 - b) pi(c | y) V(c)

b is `backtrack`; 1/2 is the paper's, 0 never goes back. All children cannot be listed, so a move is drawn
by rejection, which gives these probabilities exactly: propose the parent with probability b and else a
child, by writing it, accept with probability V of the node at the lower end of the edge, and begin anew
if that fails. Without a parent the child is the only proposal; a leaf has only a parent.

Stationarity: with L = (1 - b) / b give the edge between y, of h steps, and its parent the weight
w(y) = pi(y) V(y) L^h. Both directions of a move are proportional to it, so the walk is reversible, and a
node's stationary probability is proportional to the weights of its edges. A leaf has one, so among leaves
it is pi(y) V(y) L^h: at b = 1/2 the model's own distribution tilted by the value, and at smaller b one
that prefers more steps. With b = 0 there is no such law.

With `moves` = 0 the first leaf reached is the answer: the walk has not mixed, but errors of V are still
undone by going back. Otherwise the walk is lazy (each move is none with probability 1/2, which removes
its period) and is looked at after every so many moves; if it is on a leaf then, this is the answer, and
the law above holds the better the larger `moves`. After `max_steps` steps were written the text is
written to its end without the probe.
"""

from typing import Literal

from pydantic import Field

from app.decoding.core.sequence import Sequence
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.steps import STEP_ENDS, StepEnds, step_written
from app.decoding.strategies.parts.values import STEP_ERROR, Probe, StepAggregate, aggregate, read_values


class StochasticBacktracking(Strategy):
    """Walks at random on the tree of texts: on to likely steps that a probe values, and back."""

    kind: Literal["stochastic_backtracking"] = "stochastic_backtracking"
    probe: Probe = STEP_ERROR
    aggregate: StepAggregate = Field(
        default="product", description="How the readings of 1 - p in a text become its value."
    )
    backtrack: float = Field(
        default=0.25,
        ge=0,
        le=0.9,
        description="Probability of proposing to take a step back; 0.5 is the paper's, 0 only rejects steps.",
    )
    moves: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Look for a complete answer every so many moves; 0 takes the first one reached.",
    )
    max_steps: int = Field(default=64, ge=1, le=10_000, description="Steps that are written, at most.")
    step_ends: StepEnds = STEP_ENDS

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.probe})

    async def decode(self, sequence: Sequence) -> Sequence:
        # Where each step of the text begins.
        starts: list[int] = []
        moves = steps = 0
        while not (sequence.finished and (moves % self.moves == 0 if self.moves else True)):
            if steps >= self.max_steps:
                sequence.record("walk_ended", {"steps": steps, "limit": self.max_steps})
                break
            moves += 1
            if not self.moves or sequence.coin("stay") >= 0.5:
                steps += await self._move(sequence, starts, self.max_steps - steps)
        await sequence.extend()
        return sequence

    async def _move(self, sequence: Sequence, starts: list[int], limit: int) -> int:
        """Go to the parent or a child; stay if `limit` steps were rejected. Returns how many were written."""
        if sequence.finished:
            sequence.rewind(starts.pop(), "backtrack", {"value": self._value(sequence)})
            return 0
        value = self._value(sequence)
        for written in range(limit):
            while starts and sequence.coin("direction") < self.backtrack:
                if sequence.coin("accept") < value:
                    sequence.rewind(starts.pop(), "backtrack", {"value": value})
                    return written
            start = sequence.position
            await sequence.extend(until=step_written(self.step_ends))
            child, coin = self._value(sequence), sequence.coin("accept")
            if coin < child:
                starts.append(start)
                return written + 1
            sequence.rewind(start, "rejected", {"value": child, "coin": coin})
        return limit

    def _value(self, sequence: Sequence) -> float:
        value = aggregate(read_values(sequence.tokens, self.probe), self.aggregate)
        return 1.0 if value is None else value
