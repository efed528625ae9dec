"""AdaDec: pause where the entropy is high, and rank the candidates by what follows them.

Source: He et al., 2025, arXiv 2506.08980.

Where the entropy H exceeds the threshold, decoding pauses: each of the likeliest candidates is continued
greedily, and the candidate whose continuation of L tokens, itself included, has the highest mean raw
log-probability is taken, the likelier of equals. Everywhere else the request's own sampling draws; in the
paper it is greedy.

Where a request gives no threshold, it is the calibrated one of `LearnedThreshold`. The paper throws the
continuation away; at temperature 0 what would be written again anyway, up to the next doubt, is kept.
"""

from collections.abc import Callable
from collections.abc import Sequence as Items
from typing import Literal

from pydantic import Field

from app.decoding.calibration.calibration import SignalCalibration, refuse_uncalibrated
from app.decoding.core.sequence import Sequence
from app.decoding.core.types import Token
from app.decoding.strategies.base import Strategy
from app.decoding.strategies.parts.lookahead import above, draw_unless, look_ahead, mean_logprob
from app.errors import MissingError


class AdaDec(Strategy):
    """Pauses where the entropy is high and takes the candidate with the likeliest continuation."""

    kind: Literal["adadec"] = "adadec"
    threshold: float | None = Field(
        default=None, ge=0, le=100, description="Entropy in nats above which to pause; else the learned one."
    )
    candidates: int = Field(default=3, ge=1, le=20, description="Likeliest tokens to look at.")
    lookahead: int = Field(
        default=5, ge=1, le=256, description="Tokens of each continuation, its candidate included."
    )

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"entropy"})

    def thresholds(self, calibration: SignalCalibration | None) -> float:
        """The entropy in nats above which to pause.

        Raises:
            MissingError: none was given, and there is none in the calibration.
        """
        if self.threshold is not None:
            return self.threshold
        if calibration is None:
            refuse_uncalibrated(self.kind, "threshold")
        if calibration.adadec.threshold is None:
            raise MissingError(
                "strategy 'adadec' was given no threshold, and `demur calibrate` learned none, as entropy "
                "does not tell where this model is wrong; give one, in nats.",
                param="strategy",
            )
        return calibration.adadec.threshold

    async def decode(self, sequence: Sequence) -> Sequence:
        threshold = self.thresholds(sequence.spec.calibration)
        is_doubtful = above(threshold)
        while not sequence.finished:
            found = await draw_unless(sequence, is_doubtful, self.candidates)
            if found:
                branches = await look_ahead(sequence, found, self.lookahead)
                spans = [branch.tokens[sequence.position :] for branch in branches]
                scores = [mean_logprob(span) for span in spans]
                best = scores.index(max(scores))
                kept = [found[best]]
                if sequence.sampling.temperature == 0:
                    kept += _up_to_doubt(spans[best][1:], is_doubtful)
                sequence.record(
                    "rerank",
                    {
                        "entropy": found[0].signals["entropy"],
                        "threshold": threshold,
                        "candidates": len(found),
                        "rank": best,
                        "text": sequence.spec.text([found[best]]),
                        "instead_of": sequence.spec.text([found[0]]),
                        "score": scores[best],
                        "likeliest_score": scores[0],
                        # A look costs one token, whichever candidate is taken.
                        "discarded": sum(len(span) - 1 for span in spans) - (len(kept) - 1),
                    },
                )
                for token in kept:
                    sequence.take(token)
            sequence.commit()
        return sequence


def _up_to_doubt(tokens: Items[Token], is_doubtful: Callable[[Token], bool]) -> Items[Token]:
    """The tokens before the first in doubt."""
    doubts = [index for index, token in enumerate(tokens) if is_doubtful(token)]
    return tokens[: doubts[0]] if doubts else tokens
