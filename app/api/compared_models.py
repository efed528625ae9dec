"""The models of a house for the arms of comparisons."""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from app.api.errors import model_not_found
from app.api.model_house import ModelHouse
from app.compare.served_model import ServedModel
from app.compare.spec import ComparisonSpec
from app.errors import ParameterError


@dataclass(frozen=True)
class HouseLender:
    """Lends the models of a house; see `Lender`."""

    house: ModelHouse

    def require(self, spec: ComparisonSpec) -> None:
        """Raise `RequestError` for an arm whose model there is not, or for more than memory holds."""
        for place, arm in enumerate(spec.arms):
            if arm.model is not None and arm.model not in self.house.models:
                raise model_not_found(arm.model, tuple(self.house.models), f"arms[{place}].model")
        excess = self.house.excess(spec.models)
        if excess is not None:
            raise ParameterError(f"arms: {excess}; name fewer models.", param="arms")

    @contextmanager
    def lend(self, name: str | None) -> Generator[ServedModel]:
        with self.house.lend_to_thread(name) as serving:
            yield ServedModel(serving.engine, serving.checkpoint, serving.probes, serving.calibration)

    @asynccontextmanager
    async def load(self, spec: ComparisonSpec, seconds: float) -> AsyncGenerator[None]:
        """Have all models of a comparison loaded meanwhile, so that no thread waits for one. seconds: that
        they may take together.

        Raises:
            RequestError: what `require` raises.
            ApiError: 503, one cannot be loaded.
            DeadlineError: they are not all loaded in time.
            OverloadedError: there is no memory for one beside those in use.
        """
        self.require(spec)
        give_up = time.monotonic() + seconds
        async with AsyncExitStack() as loans:
            for name in spec.models:
                left = max(0.0, give_up - time.monotonic())
                await loans.enter_async_context(self.house.lend(name, left))
            yield
