"""Messages that leave the machine do not tell where its files are."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.redaction import without_folders

PART = st.text(
    st.characters(codec="ascii", categories=("L", "N")) | st.sampled_from(" .-_"), min_size=1
).filter(lambda part: part.strip(" .") == part)
SENTENCES = (
    "{} is not JSON",
    "cannot read '{}': no such file",
    'see "{}".',
    "({})",
    "X: {}: {}",
    "at file://{}",
)


@given(parts=st.lists(PART, min_size=2, max_size=5), sentence=st.sampled_from(SENTENCES))
def test_only_the_last_part_of_a_path_is_left(parts: list[str], sentence: str) -> None:
    path = PurePosixPath("/srv", *parts)
    told = without_folders(sentence.replace("{}", str(path)))
    assert f"{path.parent}" not in told
    assert told.replace("file://", "") == sentence.replace("{}", path.name).replace("file://", "")


@pytest.mark.parametrize(
    "message",
    [
        "cancel it first (POST /v1/compare/{id}/cancel)",
        "see https://huggingface.co/models/a",
        "give entropy/token, 1 / 2, and/or runs/comparisons",
        "the weights lack wte.weight",
    ],
)
def test_what_is_no_path_of_the_machine_stays(message: str) -> None:
    assert without_folders(message) == message
