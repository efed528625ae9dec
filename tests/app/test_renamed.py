"""Fields by their old names: they work, and whoever used one is told."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.compare.spec import parse_spec
from app.decoding.strategies import RequestStrategy

ADAPTER: TypeAdapter[Any] = TypeAdapter(RequestStrategy)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("early_answer", {"marker": "A"}, {"answer_marker": "A"}),
        ("eager", {"sequences": 3}, {"samples": 3}),
        ("entropy_gated_branching", {"branches": 4, "beams": 2}, {"candidates": 4, "width": 2}),
        ("probe_best_of_n", {"n": 3}, {"samples": 3}),
        ("probe_voting", {"readings": "worst"}, {"aggregate": "min"}),
    ],
)
def test_an_old_name_works_and_says_so(kind: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    by_old, by_new = (ADAPTER.validate_python({"kind": kind, **fields}) for fields in (old, new))
    assert by_old.model_dump() == by_new.model_dump()
    assert by_new.warnings == ()
    assert [warning.split()[0] for warning in by_old.warnings] == list(old)
    assert all(f"called {name} now" in warning for name, warning in zip(new, by_old.warnings, strict=True))


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(ValidationError, match="n is the old name of samples"):
        ADAPTER.validate_python({"kind": "probe_best_of_n", "n": 3, "samples": 3})


def test_a_comparison_of_the_last_release_is_read() -> None:
    arm = {"name": "best", "strategy": {"kind": "probe_best_of_n", "n": 3}}
    reading = {"rule": "marker", "marker": "####"}
    items = [{"prompt": "1 + 1 =", "answer": "2"}]
    spec = parse_spec({"arms": [arm], "problems": {"source": "given", "items": items, "reading": reading}})
    assert len(spec.warnings) == 2
    assert parse_spec(spec.model_dump()).warnings == ()
