"""A comparison on a model to which a token that a strategy forces is impossible."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from models.checkpoint import LoadedCheckpoint
from models.language_model import Integers, LanguageModel, ModelSpec, PrefillRow, StepOutput
from tests.app.compare.running import make_spec, run


@dataclass(frozen=True)
class Barred:
    """A model that gives one token no probability."""

    model: LanguageModel[Any]
    token_id: int

    @property
    def spec(self) -> ModelSpec:
        return self.model.spec

    def new_cache(self, slots: int, length: int) -> Any:
        return self.model.new_cache(slots, length)

    def prefill(
        self, cache: Any, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        return self._without(self.model.prefill(cache, rows, hidden_layers))

    def step(
        self,
        cache: Any,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        return self._without(self.model.step(cache, token_ids, slots, positions, hidden_layers))

    def extend(self, cache: Any, row: PrefillRow, hidden_layers: Sequence[int] = ()) -> StepOutput:
        return self._without(self.model.extend(cache, row, hidden_layers))

    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        return self._without(self.model.score(token_ids, hidden_layers))

    def _without(self, output: StepOutput) -> StepOutput:
        output.logits[:, self.token_id] = -inf
        return output


def test_a_signal_that_is_not_finite_is_left_out(checkpoint: LoadedCheckpoint, tmp_path: Path) -> None:
    """An impossible token that is forced has an infinite surprisal, which no JSON holds: the run failed."""
    marker = checkpoint.tokenizer.phrase_id("Answer:")
    barred = replace(checkpoint, model=Barred(checkpoint.model, marker))
    always = {"signal": "entropy", "threshold": 0.0}
    strategy = {"kind": "early_answer", "triggers": [always], "min_steps": 0}
    spec = make_spec({"name": "early", "strategy": strategy}, count=3, signals=["entropy", "surprisal"])
    for outcome in run(barred, spec, tmp_path / "run"):
        assert outcome.tokens is not None
        (forced,) = [token for token in outcome.tokens if token.text == "Answer:"]
        assert list(forced.signals) == ["entropy"]
        assert all(len(token.signals) == 2 for token in outcome.tokens if token is not forced)
