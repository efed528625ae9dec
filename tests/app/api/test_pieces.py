"""JSON that is made in pieces is the JSON that pydantic makes in one go."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from app.api.pieces import PIECE, json_of, weight
from app.api.schemas.responses import AlternativeOut, Score, ScoredToken, TokenSignals


def is_none(value: object) -> bool:
    return value is None


class Leaf(BaseModel):
    name: str
    values: dict[str, float | None] = Field(default_factory=dict[str, float | None])
    gone: int | None = Field(default=None, exclude_if=is_none)


class Tree(BaseModel):
    heading: str
    numbers: list[float] = Field(default_factory=list[float])
    leaves: list[Leaf] | None = Field(default=None, exclude_if=is_none)
    trees: list["Tree"] = Field(default_factory=list["Tree"])
    leaf: Leaf | None = None


leaves = st.builds(
    Leaf,
    name=st.text(max_size=3),
    values=st.dictionaries(st.text(max_size=2), st.floats() | st.none(), max_size=3),
    gone=st.none() | st.integers(0, 9),
)


def repeated(value: Any, count: int) -> list[Any]:
    """Lists around and far beyond a piece, cheap to draw."""
    return [value] * count


trees = st.recursive(
    st.builds(
        Tree,
        heading=st.text(max_size=3),
        numbers=st.builds(repeated, st.floats(), st.sampled_from([0, 1, 1999, 5000])),
        leaves=st.none() | st.builds(repeated, leaves, st.sampled_from([0, 1, 700, 3000])),
        leaf=st.none() | leaves,
    ),
    lambda inner: st.builds(Tree, heading=st.just("x"), trees=st.lists(inner, max_size=3)),
    max_leaves=4,
)


@settings(max_examples=30, deadline=None)
@given(tree=trees)
def test_pieces_make_the_same_json(tree: Tree) -> None:
    at_once = json.loads(tree.model_dump_json())
    assert json.loads(json_of(tree)) == at_once


def test_an_answer_of_many_alternatives_is_made_in_pieces() -> None:
    other = AlternativeOut(token="é", logprob=-1.5, bytes=[195, 169])
    row = ScoredToken.model_validate(
        {"token": "a", "token_id": 3, "logprob": -0.5, "top_logprobs": [other] * 20, "entropy": 0.25}
    )
    first = ScoredToken(token="b", token_id=4, logprob=None)
    score = Score(index=0, logprob=-9.0, tokens=[first, *[row] * 300])
    assert weight(score) > 10 * PIECE
    at_once = json.loads(score.model_dump_json())
    written = json.loads(json_of(score))
    assert written == at_once
    assert score.tokens == [None] * 301, "what is written is let go of at once"
    assert "top_logprobs" not in written["tokens"][0]


def test_named_numbers_keep_their_names() -> None:
    rows = [TokenSignals.model_validate({"token": "a", "token_id": 1, "probe:x": 0.5})]
    assert json.loads(json_of(rows[0])) == {"token": "a", "token_id": 1, "probe:x": 0.5}
