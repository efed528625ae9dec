"""The names of reasoning-gym's generators, without importing it, which takes seconds."""

import re
from importlib.util import find_spec
from pathlib import Path

from app.compare.problem_sets.gym_worker import LEFT_OUT

_REGISTERED = re.compile(r"""register_dataset\(\s*["']?(\w+)["']?""")
_NAMED = re.compile(r"""^DATASET_NAME = ["'](\w+)["']""", re.MULTILINE)


def names_of_gym() -> list[str]:
    """Names of those that are offered, in order; none where reasoning-gym is not installed."""
    found = find_spec("reasoning_gym")
    if found is None or found.origin is None:
        return []
    texts = (file.read_text(encoding="utf-8") for file in Path(found.origin).parent.glob("*/**/*.py"))
    names: set[str] = set()
    for text in texts:
        constant = _NAMED.search(text)
        for name in _REGISTERED.findall(text):
            names.add(constant[1] if name == "DATASET_NAME" and constant else name)
    return sorted(names - LEFT_OUT.keys())
