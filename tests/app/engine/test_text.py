"""The text stream: whatever the tokens, the pieces make the right text and never take any back."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.decoding.core.types import Token
from app.engine.text import TextStream

TEXT = st.text(st.sampled_from("ab cé€😀\n"), max_size=30)
STOPS = st.lists(st.text(st.sampled_from("ab cé"), min_size=1, max_size=4), max_size=3)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def token(index: int) -> Token:
    return Token(index, 0.0, {})


@given(TEXT, st.lists(st.integers(0, 200), max_size=20), st.booleans())
def test_without_stop_the_pieces_are_the_text_and_every_prefix_stands(
    text: str, cuts: list[int], at_the_end: bool
) -> None:
    """Tokens may divide characters anywhere, and may be empty."""
    parts = split(text.encode(), cuts)
    stream, seen = TextStream(()), ""
    last = len(parts) - (2 if at_the_end and len(parts) > 1 else 0)
    ids: list[int] = []
    for index, part in enumerate(parts[:last]):
        for each, piece in stream.push(token(index), part):
            ids.append(each.id)
            seen += piece
            assert text.startswith(seen)
    pieces, rest = stream.finish([(token(i), parts[i]) for i in range(last, len(parts))], 0)
    seen += "".join(piece for _, piece in pieces) + rest
    assert seen == text
    assert ids + [each.id for each, _ in pieces] == list(range(len(parts)))


@given(st.binary(max_size=20), st.lists(st.integers(0, 50), max_size=8))
def test_invalid_bytes_read_as_python_reads_them(data: bytes, cuts: list[int]) -> None:
    stream, seen = TextStream(()), ""
    for index, part in enumerate(split(data, cuts)):
        seen += "".join(piece for _, piece in stream.push(token(index), part))
    _, rest = stream.finish([], 0)
    assert seen + rest == data.decode(errors="replace")


@given(TEXT, STOPS, st.lists(st.integers(0, 200), max_size=20))
def test_nothing_of_a_stop_string_and_no_token_after_it_comes_out(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    """The engine ends a sequence at the token that completes a stop string; so does this loop."""
    parts = split(text.encode(), cuts)
    stream, seen, ids = TextStream(stops), "", list[int]()
    end: int | None = None
    written = b""
    for index, part in enumerate(parts):
        written += part
        starts = [at for stop in stops if (at := written.find(stop.encode())) >= 0]
        if starts:
            end = min(starts)
            pieces, rest = stream.finish([(token(index), part)], len(written) - end)
            break
        for each, piece in stream.push(token(index), part):
            ids.append(each.id)
            seen += piece
    else:
        pieces, rest = stream.finish([], 0)
    ids += [each.id for each, _ in pieces]
    seen += "".join(piece for _, piece in pieces) + rest
    kept = text.encode() if end is None else text.encode()[:end]
    assert seen == kept.decode(errors="replace")
    assert ids == list(range(len(ids)))
    # A token with bytes belongs to the answer if it begins before the stop string.
    offset = 0
    for index, part in enumerate(parts):
        if part and offset < len(kept):
            assert index in ids
        elif part:
            assert index not in ids
        offset += len(part)


def test_a_possible_stop_is_held_back_until_it_is_decided() -> None:
    stream = TextStream(["STOP"])
    assert stream.push(token(0), b"go S") == [(token(0), "go ")]
    assert stream.push(token(1), b"TO") == []
    assert stream.push(token(2), b"RY") == [(token(1), "STO"), (token(2), "RY")]


def test_a_character_is_held_back_until_it_is_whole() -> None:
    stream = TextStream([])
    first, second, third = (bytes([byte]) for byte in "€".encode())
    assert stream.push(token(0), first) == [(token(0), "")]
    assert stream.push(token(1), second) == [(token(1), "")]
    assert stream.push(token(2), third) == [(token(2), "€")]
