"""How often a model makes which mistake."""

from collections.abc import Sequence

import numpy as np

from probes.fitting.labels import LabelledCompletion
from probes.metrics.estimates import Result


class BaseRate(Result):
    """How often a kind of mistake happens."""

    domain: str
    op: int | None
    temperature: float
    kind: str
    rows: int
    positives: int


def base_rates(labels: Sequence[LabelledCompletion]) -> tuple[BaseRate, ...]:
    """How often each kind of first mistake happens, by domain, op and temperature; rows are completions."""
    keys = {(each.domain, each.tags.get("op"), each.tags.get("temperature", np.nan)) for each in labels}
    rates: list[BaseRate] = []
    for domain, op, temperature in sorted(keys, key=str):
        found = [
            each
            for each in labels
            if (each.domain, each.tags.get("op"), each.tags.get("temperature", np.nan))
            == (domain, op, temperature)
        ]
        for kind in sorted({span.kind for each in found for span in each.wrong}):
            rates.append(
                BaseRate(
                    domain=domain,
                    op=None if op is None else int(op),
                    temperature=temperature,
                    kind=kind,
                    rows=len(found),
                    positives=sum(any(span.kind == kind for span in each.wrong) for each in found),
                )
            )
    return tuple(rates)
