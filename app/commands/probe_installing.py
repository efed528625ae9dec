"""Which probes of a run `demur probe install` installs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from probes.store import StoredProbe


def worth_installing(stored: "Sequence[StoredProbe]", anyway: bool) -> "list[StoredProbe]":
    """Those that beat what is free, or all of them with a card that says so; prints why one does not.

    Raises:
        ProbesError: none of them does.
    """
    from dataclasses import replace

    from probes.errors import ProbesError
    from probes.judging.verdict import verdict_of_card

    chosen: list[StoredProbe] = []
    for each in stored:
        verdict = verdict_of_card(each.card)
        if verdict.beats_free:
            chosen.append(each)
            continue
        why = f"it does not beat what is free: {verdict.reason}"
        typer.echo(f"{each.card.name}: {why}.", err=True)
        if anyway:
            evidence = {**each.card.evidence, "installed_anyway": why}
            chosen.append(replace(each, card=each.card.model_copy(update={"evidence": evidence})))
    if not chosen:
        raise ProbesError(
            f"none of {len(stored)} probes beats what is free, so none was installed; use signals such as "
            "entropy instead, or make more labels, or install them all the same with --anyway"
        )
    return chosen
