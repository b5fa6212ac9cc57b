"""Text cut into lines that are views of it: nothing is copied."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from features.json_text import eight
from features.views import series_of, view

#: What a line is: text, nothing but blanks, or text with a control character in it, which no log should hold.
TEXT, BLANK, CONTROL = range(3)

_TAB, _LINE_END, _RETURN, _SPACE = b"\t\n\r "
_ONES, _HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_SPACES = _ONES * np.uint64(_SPACE)


def lines_of(chunk: bytes, first_line: int) -> pl.DataFrame:
    """The lines of UTF-8 text (what is none shows as U+FFFD): `line`, from `first_line` on, `text`, and its `kind`."""
    chunk = _as_utf8(chunk)
    text = np.frombuffer(chunk, dtype=np.uint8)
    views_N2 = np.empty((chunk.count(b"\n") + 1, 2), dtype=np.uint64)
    kind_N = np.empty(len(views_N2), dtype=np.uint8)
    count = _cut(text, views_N2, kind_N)
    numbers = np.arange(first_line, first_line + count, dtype=np.int64)
    texts = series_of("text", views_N2[:count], None, [text])
    return pl.DataFrame([pl.Series("line", numbers), texts, pl.Series("kind", kind_N[:count])])


def _as_utf8(chunk: bytes) -> bytes:
    if chunk.isascii():
        return chunk
    try:
        chunk.decode()
    except UnicodeDecodeError:
        return chunk.decode("utf-8", "replace").encode()
    return chunk


@njit(cache=True, nogil=True)
def _cut(text: NDArray[np.uint8], views_N2: NDArray[np.uint64], kind_N: NDArray[np.uint8]) -> int:
    """A view and a kind for each line; how many there are. A line may end in a return, too."""
    at, row = 0, 0
    while at < len(text):
        begins = at
        at, has_control = _line_end(text, at)
        ends = at - 1 if at > begins and text[at - 1] == _RETURN and at < len(text) else at
        views_N2[row, 0], views_N2[row, 1] = view(text, begins, ends, 0)
        kind_N[row] = CONTROL if has_control else BLANK if _is_blank(text, begins, ends) else TEXT
        at, row = at + 1, row + 1
    return row


@njit(cache=True)
def _line_end(text: NDArray[np.uint8], at: int) -> tuple[int, bool]:
    """Where a line ends, and whether control characters other than tabs come before that."""
    has_control = False
    while True:
        while at + 8 <= len(text) and not _has_control(eight(text, at)):
            at += 8
        while at < len(text) and text[at] >= _SPACE:
            at += 1
        if at == len(text) or text[at] == _LINE_END:
            return at, has_control
        ends_line = text[at] == _RETURN and (at + 1 == len(text) or text[at + 1] == _LINE_END)
        has_control |= text[at] != _TAB and not ends_line
        at += 1


@njit(cache=True, inline="always")
def _has_control(word: np.uint64) -> bool:
    """Whether any of eight bytes is below a space (Warren, Hacker's Delight, 6-1)."""
    return bool((word - _SPACES) & ~word & _HIGHS)


@njit(cache=True)
def _is_blank(text: NDArray[np.uint8], begins: int, ends: int) -> bool:
    while begins < ends and (text[begins] == _SPACE or text[begins] == _TAB):
        begins += 1
    return begins == ends
