"""Any bytes are lines as Python would cut them, each known for what it is."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.lines import BLANK, CONTROL, TEXT, lines_of

PIECES = st.sampled_from(
    [b"\n", b"\r\n", b"\r", b"\t", b" ", b"\x00", b"\x1f", b"\x7f", b"0123456789abcdef", "äß€".encode(), "🦊".encode()]
)
CLEAN = st.lists(PIECES | st.text(max_size=12).map(str.encode), max_size=14).map(b"".join)
CHUNKS = CLEAN | st.lists(PIECES | st.binary(max_size=6), max_size=10).map(b"".join) | st.binary(max_size=40)

#: Bytes at the edges of what may lead and what may follow (Unicode 17, table 3-7).
LEADS = bytes.fromhex("7f 80 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")
SECONDS = bytes.fromhex("41 7f 80 8f 90 9f a0 bf c0 e0 ff")
OTHERS = bytes.fromhex("7f 80 bf c0")


def cut(chunk: bytes) -> list[str]:
    """The lines of a text, in Python's words."""
    *ended, last = chunk.decode("utf-8", "replace").split("\n")
    return [line.removesuffix("\r") for line in ended] + ([last] if last else [])


def kind(line: str) -> int:
    """What a line is, in Python's words."""
    if any(letter < " " and letter != "\t" for letter in line):
        return CONTROL
    return TEXT if line.strip(" \t") else BLANK


@settings(deadline=None, max_examples=400)
@given(CHUNKS, st.integers(0, 2**40))
@example(b"", 0)
@example(b"12345678\xf0\x9f\xa6", 0)
def test_any_bytes_are_the_lines_that_python_cuts(chunk: bytes, first_line: int) -> None:
    lines = lines_of(chunk, first_line)
    assert lines["text"].to_list() == cut(chunk)
    assert lines["line"].to_list() == list(range(first_line, first_line + lines.height))


@settings(deadline=None, max_examples=300)
@given(CLEAN.map(lambda chunk: chunk + b"\n"))
def test_every_line_is_text_or_blank_or_holds_a_control_character(chunk: bytes) -> None:
    assert lines_of(chunk, 0)["kind"].to_list() == [kind(line) for line in cut(chunk)]


@pytest.mark.parametrize("before", [b"", b"1234567", b"12345678"], ids=len)
def test_the_kind_is_right_for_every_byte_wherever_it_stands(before: bytes) -> None:
    for byte in range(0x80):
        chunk = before + bytes([byte]) + b"abc\n"
        expected = [kind(line) for line in cut(chunk)]
        assert lines_of(chunk, 0)["kind"].to_list() == expected, hex(byte)


def test_utf_8_is_what_python_takes_for_it() -> None:
    for lead, second, third, fourth in product(LEADS, SECONDS, OTHERS, OTHERS):
        chunk = bytes([lead, second, third, fourth])
        for size in range(1, 5):
            assert lines_of(chunk[:size], 0)["text"].to_list() == cut(chunk[:size]), chunk[:size].hex()


@settings(deadline=None)
@given(CLEAN, CLEAN)
def test_a_cut_at_a_line_end_gives_the_same_lines(one: bytes, other: bytes) -> None:
    first = lines_of(one + b"\n", 3)
    both = first.vstack(lines_of(other, 3 + first.height))
    assert both.equals(lines_of(one + b"\n" + other, 3))
