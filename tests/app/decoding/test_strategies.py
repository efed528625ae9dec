"""The union of strategies: closed, strict, and the same as the files that there are."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.decoding import strategies
from app.decoding.strategies import STRATEGIES, ComparisonStrategy, Greedy, RequestStrategy

ADAPTER: TypeAdapter[Any] = TypeAdapter(RequestStrategy)
COMPARED: TypeAdapter[Any] = TypeAdapter(ComparisonStrategy)
FOR_COMPARISONS = {"oracle_retry"}


@pytest.mark.parametrize("kind", list(STRATEGIES))
def test_json_goes_in_and_comes_out_the_same(kind: str) -> None:
    params = ADAPTER.validate_python({"kind": kind})
    assert isinstance(params, BaseModel)
    assert params.model_dump()["kind"] == kind
    assert ADAPTER.validate_json(ADAPTER.dump_json(params)) == params
    assert COMPARED.validate_python({"kind": kind}) == params


@pytest.mark.parametrize("kind", sorted(FOR_COMPARISONS))
def test_what_is_told_the_truth_is_for_comparisons_only(kind: str) -> None:
    params = COMPARED.validate_python({"kind": kind})
    assert COMPARED.validate_json(COMPARED.dump_json(params)) == params
    with pytest.raises(ValidationError):
        ADAPTER.validate_python({"kind": kind})
    with pytest.raises(ValidationError):
        COMPARED.validate_python({"kind": kind, "width": 3})


@pytest.mark.parametrize(
    "wrong", [{"kind": "greedy", "width": 3}, {"kind": "no_such_kind"}, {}, {"kind": None}]
)
def test_an_unknown_kind_or_key_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(wrong)


def test_params_cannot_be_changed() -> None:
    params = Greedy()
    with pytest.raises(ValidationError):
        params.kind = "greedy"


def test_the_catalogue_is_the_union_and_the_files() -> None:
    folder = Path(strategies.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base"}
    schema = ADAPTER.json_schema()
    assert set(STRATEGIES) == files - FOR_COMPARISONS == set(schema["discriminator"]["mapping"])
    for info in STRATEGIES.values():
        assert info.summary.endswith(".")
        assert info.params_schema["additionalProperties"] is False
        assert info.params_schema["properties"]["kind"]["const"] == info.kind
