"""What is kept of an answer: one line of `outcomes.jsonl`, and one of `latency.jsonl`."""

from pydantic import BaseModel, ConfigDict

_RARE = ("tokens", "score", "judge_error")
_CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OutcomeToken(BaseModel):
    """A token of an answer with the signals that were asked for."""

    model_config = _CONFIG

    text: str
    signals: dict[str, float]


class Outcome(BaseModel):
    """What an arm made of a problem.

    group: problems that are reported together too, such as "op 6"; None where there are none.
    correct: the answer is right; None if the problem has no answer. An abstention is not correct.
    solved: every step is right too, corpus problems only. first_error: index of the first wrong step.
    score: 0 to 1, of problems whose answers are worth parts of a point; None of others.
    judge_error: what kept the judge from an opinion, or the answer from being read; None where all went well.
    answer: as it was read from the text, None where none was found. expected: the right one.
    cached_tokens: prompt tokens that were not computed for it, mostly since another arm had them computed
        before, or at the same time. That depends on what else was running, so no result is drawn from it.
    forward_rows: token positions that go through the model for this answer, had it been alone: the prompt
        once, and every token computed, discarded ones included, but for the last, which nothing follows.
    latency_s: seconds from submission to the last token, among all that ran at the same time.
    tokens: if the comparison asks for signals, the tokens of `text`.
    """

    model_config = _CONFIG

    problem: str
    group: str | None
    arm: str
    seed: int
    correct: bool | None
    answer: str | None
    expected: str | None
    solved: bool | None
    score: float | None = None
    judge_error: str | None = None
    first_error: int | None
    finish_reason: str
    abstained: bool
    text: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    discarded_tokens: int
    forward_rows: int
    events: int
    latency_s: float
    tokens: list[OutcomeToken] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Problem and arm: there is one outcome of each pair."""
        return self.problem, self.arm

    def line(self) -> str:
        """As JSON, without a line break. What few outcomes have is left out of the others."""
        return self.model_dump_json(exclude={name for name in _RARE if getattr(self, name) is None})


class LatencySample(BaseModel):
    """How long an arm took for a problem with the engine to itself, in seconds from submission."""

    model_config = _CONFIG

    problem: str
    arm: str
    latency_s: float
    first_token_s: float

    @property
    def key(self) -> tuple[str, str]:
        """Problem and arm."""
        return self.problem, self.arm

    def line(self) -> str:
        """As JSON, without a line break."""
        return self.model_dump_json()
