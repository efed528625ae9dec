"""Whether a probe is worth having: better, beyond the interval, than everything that costs nothing."""

from dataclasses import dataclass
from math import isnan

from pydantic import TypeAdapter, ValidationError

from probes.card import ProbeCard
from probes.fitting.sizes import LEAST
from probes.judging.results import DomainResult

DECIDING = "id"
"""The domain that decides, where there is one of that name; else the first."""

_DOMAINS = TypeAdapter(dict[str, DomainResult])


@dataclass(frozen=True)
class Verdict:
    """What an evaluation says of a probe. reason: in one sentence, with figures."""

    beats_free: bool
    reason: str


def verdict_of(domains: dict[str, DomainResult]) -> Verdict:
    """The verdict on results by domain: the gain in AUROC over each baseline has to lie above 0, with its
    95% interval, and the readings must not be too few to have one."""
    name = DECIDING if DECIDING in domains else next(iter(domains), None)
    if name is None:
        return Verdict(False, "it was judged on no reading")
    result = domains[name]
    few = min(result.positives, result.rows - result.positives)
    if few < (least := LEAST["test"]):
        return Verdict(
            False,
            f"it was judged on {result.positives} positives of {result.rows} readings; it takes {least} of "
            "either kind to say something",
        )
    gains = [(each, each.auroc_gain) for each in result.comparisons if each.kind == "baseline"]
    known = [(each, gain) for each, gain in gains if gain is not None]
    if not known:
        return Verdict(False, "it was compared with nothing that is free")
    rival, gain = min(known, key=lambda pair: -1.0 if isnan(pair[1].low) else pair[1].low)
    auroc, free = result.metrics.auroc.value, rival.metrics.auroc.value
    said = (
        f"AUROC {auroc:.3f} against {free:.3f} of {rival.name}, which is free: a gain of {gain.value:+.3f} "
        f"({gain.low:+.3f} to {gain.high:+.3f}) with {result.positives} positives of {result.rows} readings"
    )
    return Verdict(gain.low > 0, said)


def verdict_of_card(card: ProbeCard) -> Verdict:
    """The verdict by the evaluation that a card holds."""
    evaluation = card.evidence.get("evaluation")
    found = evaluation.get("domains") if isinstance(evaluation, dict) else None
    if found is None:
        return Verdict(False, "it was not evaluated; run demur probe evaluate")
    try:
        return verdict_of(_DOMAINS.validate_python(found))
    except ValidationError as error:
        return Verdict(False, f"its evaluation cannot be read: {error.errors()[0]['msg']}")
