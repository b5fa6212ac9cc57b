"""Text cut into lines that are views of it: nothing is copied."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from features.views import eight, series_of, view

#: What a line is: text, nothing but blanks, or text with a control character in it, which no log should hold.
TEXT, BLANK, CONTROL = range(3)

_TAB, _LINE_END, _RETURN, _SPACE = b"\t\n\r "
_BEYOND_ASCII = 0x80
_ONES, _HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_SPACES = _ONES * np.uint64(_SPACE)


def lines_of(chunk: bytes, first_line: int) -> pl.DataFrame:
    """The lines of UTF-8 text (what is none shows as U+FFFD): `line`, from `first_line` on, `text`, and its `kind`."""
    views_N2, kind_N = _room(chunk)
    count = _cut(np.frombuffer(chunk, dtype=np.uint8), views_N2, kind_N)
    if count < 0:
        return lines_of(chunk.decode("utf-8", "replace").encode(), first_line)
    numbers = np.arange(first_line, first_line + count, dtype=np.int64)
    texts = series_of("text", views_N2[:count].copy(), None, [np.frombuffer(chunk, dtype=np.uint8)])
    return pl.DataFrame([pl.Series("line", numbers), texts, pl.Series("kind", kind_N[:count].copy())])


def _room(chunk: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Room for as many lines as there may be; what is not used is never touched and costs nothing."""
    most = len(chunk) + 1
    return np.empty((most, 2), dtype=np.uint64), np.empty(most, dtype=np.uint8)


@njit(cache=True, nogil=True)
def _cut(text: NDArray[np.uint8], views_N2: NDArray[np.uint64], kind_N: NDArray[np.uint8]) -> int:
    """A view and a kind for each line; how many there are, or -1 if this is no UTF-8. A line may end in a return."""
    at, row = 0, 0
    while at < len(text):
        begins = at
        at, has_control = _line_end(text, at)
        if at < 0:
            return -1
        ends = at - 1 if at > begins and text[at - 1] == _RETURN and at < len(text) else at
        views_N2[row, 0], views_N2[row, 1] = view(text, begins, ends, 0)
        kind_N[row] = CONTROL if has_control else BLANK if _is_blank(text, begins, ends) else TEXT
        at, row = at + 1, row + 1
    return row


@njit(cache=True)
def _line_end(text: NDArray[np.uint8], at: int) -> tuple[int, bool]:
    """Where a line ends (-1: it is no UTF-8), and whether control characters other than tabs come before that."""
    has_control = False
    while True:
        while at + 8 <= len(text) and _is_plain(eight(text, at)):
            at += 8
        while at < len(text) and _SPACE <= text[at] < _BEYOND_ASCII:
            at += 1
        if at == len(text) or text[at] == _LINE_END:
            return at, has_control
        if text[at] >= _BEYOND_ASCII:
            at = _past_letter(text, at)
            if at < 0:
                return at, has_control
        else:
            ends_line = text[at] == _RETURN and (at + 1 == len(text) or text[at + 1] == _LINE_END)
            has_control |= text[at] != _TAB and not ends_line
            at += 1


@njit(cache=True, inline="always")
def _is_plain(word: np.uint64) -> bool:
    """Whether eight bytes are ASCII without control characters (Warren, Hacker's Delight, 6-1)."""
    return not (((word - _SPACES) | word) & _HIGHS)


@njit(cache=True)
def _past_letter(text: NDArray[np.uint8], at: int) -> int:
    """The place behind a letter beyond ASCII, or -1 (Unicode 17, table 3-7, well-formed UTF-8)."""
    lead = int(text[at])
    more = 1 if 0xC2 <= lead < 0xE0 else 2 if 0xE0 <= lead < 0xF0 else 3 if 0xF0 <= lead < 0xF5 else 0
    if more == 0 or at + more >= len(text):
        return -1
    least = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
    most = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
    if not least <= text[at + 1] <= most:
        return -1
    for place in range(at + 2, at + more + 1):
        if not 0x80 <= text[place] <= 0xBF:
            return -1
    return at + more + 1


@njit(cache=True)
def _is_blank(text: NDArray[np.uint8], begins: int, ends: int) -> bool:
    while begins < ends and (text[begins] == _SPACE or text[begins] == _TAB):
        begins += 1
    return begins == ends
