"""Which completions are for fitting and which for testing: whole groups, mistakes as frequent in each."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.files import read_json, write_json
from probes.errors import LabelsError
from probes.fitting.labels import PARTS, SHARES, LabelledCompletion, Part

PARTS_FILE = "parts.json"


def settled_parts(folder: Path, labels: Sequence[LabelledCompletion]) -> list[LabelledCompletion]:
    """The completions, each with a part, which a folder remembers: whatever labels come later, no group moves
    from one part to another, so that nothing is tested on what was fitted on.

    Raises:
        LabelsError: what the folder remembers is damaged.
    """
    path = folder / PARTS_FILE
    known = _known(path, read_json(path) if path.exists() else {})
    found = with_parts(labels, known)
    dealt: dict[str, Part] = {
        _digest(now.group_name): now.part
        for now, given in zip(found, labels, strict=True)
        if given.part is None and now.part is not None
    }
    if dealt.keys() - known.keys():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, known | dealt)
    return found


def with_parts(
    labels: Sequence[LabelledCompletion], known: Mapping[str, Part] | None = None
) -> list[LabelledCompletion]:
    """The completions, each with a part; those that have one keep it, and so do groups that are known.
    What has none goes where its group's others are.

    Groups are sorted by what is wrong in them, and within that by a hash, and dealt out in this order so that
    every part has its share at any moment. So mistakes are as frequent in one part as in another, also where
    there are few.

    Args:
        known: parts by the digest of a group's name.
    """
    groups: dict[str, list[LabelledCompletion]] = {}
    for each in labels:
        if each.part is None:
            groups.setdefault(each.group_name, []).append(each)
    digests = {name: _digest(name) for name in groups}
    known = known or {}
    dealt: dict[str, Part] = {name: known[digest] for name, digest in digests.items() if digest in known}
    dealt |= {name: part for name, part in _parts(labels).items() if name in groups}
    due: dict[Part, float] = dict.fromkeys(PARTS, 0.0)
    for name in sorted(groups.keys() - dealt, key=lambda name: (_stratum(groups[name]), digests[name])):
        due = {part: owed + SHARES[part] for part, owed in due.items()}
        dealt[name] = max(PARTS, key=lambda part: due[part])
        due[dealt[name]] -= 1
    return [
        each if each.part is not None else each.model_copy(update={"part": dealt[each.group_name]})
        for each in labels
    ]


def _parts(labels: Sequence[LabelledCompletion]) -> dict[str, Part]:
    """Parts of groups, by name, where a completion says it."""
    return {each.group_name: each.part for each in labels if each.part is not None}


def _known(path: Path, stored: dict[str, Any]) -> dict[str, Part]:
    for digest, part in stored.items():
        if part not in PARTS:
            raise LabelsError(f"{path} is damaged: the part of {digest} is {part!r}; delete the run's folder")
    return stored


def _stratum(group: Sequence[LabelledCompletion]) -> tuple[str, float, int]:
    """What a group's labels are: its domain, the share of wrong answers, how many completions have a wrong
    step."""
    wrong_answers = sum(not each.is_correct for each in group) / len(group)
    return group[0].domain, wrong_answers, sum(bool(each.wrong) for each in group)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
