"""Tokens that a strategy puts into its text; engine/test_forced.py has what the engine reads of them."""

import pytest

from app.errors import StrategyError
from tests.app.decoding.core.test_sequence import END, VOCABULARY, drive, ids_of, make


def test_forced_tokens_are_marked_counted_and_can_end_the_text() -> None:
    sequence = make(max_tokens=5)
    span = drive(sequence.force([65, END, 66], "hint"), [])
    assert [token.id for token in span.tokens] == [65, END]
    assert all(token.forced for token in span.tokens)
    assert sequence.finished
    assert sequence.ledger.spent == 2
    assert sequence.ledger.events[0].detail == {"forced": 2}
    with pytest.raises(StrategyError, match="ended with 'stop'"):
        drive(sequence.force([65]), [])


@pytest.mark.parametrize("token_id", [-1, len(VOCABULARY)])
def test_an_id_outside_the_vocabulary_cannot_be_forced(token_id: int) -> None:
    sequence = make()
    with pytest.raises(StrategyError, match=f"token id {token_id}; ids are 0 to"):
        drive(sequence.force([65, token_id]), [])
    assert ids_of(sequence) == []
