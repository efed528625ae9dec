"""Entropy temperature: each token drawn at a temperature that follows the model's entropy.

Sets the temperature of every token by the entropy H of the model's own distribution, in nats.

Sources: EDT, arXiv 2403.14541; llama.cpp's dynamic temperature. T0 is the request's temperature. H is
that of the raw distribution over the whole vocabulary of V tokens; llama.cpp takes what the samplers
before it have left, and as many tokens for V, as the sampler `dynatemp_range` does. The temperature of
every token is in the trace; below 0.0001 it is 0, and the likeliest token is taken.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.decoding.core.sequence import Sequence
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies.base import PARAMS_CONFIG, Strategy

HOTTEST = 100.0
# Dividing by less than this would leave the range of single precision.
COLDEST = 1e-4


class Edt(BaseModel):
    """T = T0 * N^(theta / H): cold where the model is sure, T0 where it is not (Zhang et al., 2024)."""

    model_config = PARAMS_CONFIG

    formula: Literal["edt"] = "edt"
    theta: float = Field(default=1.0, ge=0, le=100, description="Larger is colder; 0 leaves T0 everywhere.")
    base: float = Field(default=0.8, gt=0, le=1, description="N; the paper has 0.8.")

    def temperature(self, middle: float, entropy: float, _vocabulary: int) -> float:
        """For an entropy in nats. At entropy 0 the limit, 0, unless theta or ln N makes it T0."""
        exponent = self.theta * math.log(self.base)
        if exponent == 0 or middle == 0:
            return middle
        return middle * math.exp(exponent / entropy) if entropy > 0 else 0.0


class Dynamic(BaseModel):
    """T from T0 - range to T0 + range, in proportion to (H / ln V)^exponent, as llama.cpp has it."""

    model_config = PARAMS_CONFIG

    formula: Literal["dynamic"] = "dynamic"
    dynatemp_range: float = Field(default=0.5, ge=0, le=50, description="0 leaves T0 everywhere.")
    dynatemp_exponent: float = Field(default=1.0, ge=0, le=100, description="1 is linear in the entropy.")

    def temperature(self, middle: float, entropy: float, vocabulary: int) -> float:
        """For an entropy in nats over a vocabulary of so many tokens; never below 0, and 0 if T0 is."""
        if middle == 0 or vocabulary < 2:
            return middle
        low, high = max(0.0, middle - self.dynatemp_range), min(HOTTEST, middle + self.dynatemp_range)
        share = min(1.0, entropy / math.log(vocabulary))
        return low + (high - low) * share**self.dynatemp_exponent


class EntropyTemperature(Strategy):
    """Draws each token at a temperature that follows the entropy: EDT or llama.cpp's dynamic temperature."""

    kind: Literal["entropy_temperature"] = "entropy_temperature"
    rule: Annotated[Edt | Dynamic, Field(discriminator="formula")] = Field(
        default=Edt(), description="How the temperature follows the entropy."
    )

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"entropy"})

    async def decode(self, sequence: Sequence) -> Sequence:
        vocabulary = len(sequence.spec.vocabulary)

        def by_entropy(signals: Mapping[str, float]) -> SamplingParams:
            entropy = signals["entropy"]
            exact = self.rule.temperature(sequence.sampling.temperature, entropy, vocabulary)
            temperature = exact if exact >= COLDEST else 0.0
            sequence.record("temperature", {"entropy": entropy, "temperature": temperature})
            return sequence.sampling.at_temperature(temperature)

        while not sequence.finished:
            await sequence.next(by_entropy)
            sequence.commit()
        return sequence
