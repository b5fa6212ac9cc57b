"""Texts as Arrow's string views: columns that point into a text instead of copying it."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

#: Bytes of a text that its view holds itself.
_INLINE = 12

_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_1, _2, _3, _4, _5, _6, _7 = (np.uint64(number) for number in range(1, 8))
_8, _16, _24, _32, _40, _48, _56 = (np.uint64(8 * number) for number in range(1, 8))


@njit(cache=True, inline="always")
def view(text: NDArray[np.uint8], begins: int, ends: int, buffer: int) -> tuple[np.uint64, np.uint64]:
    """The two words of a view (Arrow's columnar format, variable-size binary view): size, then all of it or where."""
    size = ends - begins
    first = word(text, begins, min(begins + 8, ends))
    low = np.uint64(size) | first << _32
    if size > _INLINE:
        return low, np.uint64(buffer) | np.uint64(begins) << _32
    return low, first >> _32 | (word(text, begins + 8, ends) << _32 if size > 8 else np.uint64(0))


@njit(cache=True, inline="always")
def word(text: NDArray[np.uint8], begins: int, ends: int) -> np.uint64:
    """At most eight bytes as a little-endian number; where eight can be read at once, the surplus is cut off."""
    if ends == begins:
        return np.uint64(0)
    if begins + 8 <= len(text):
        return eight(text, begins) & (_ALL >> np.uint64(64 - 8 * (ends - begins)))
    number, shift = np.uint64(0), np.uint64(0)
    for at in range(begins, ends):
        number |= np.uint64(text[at]) << shift
        shift += _8
    return number


@njit(cache=True)
def views_of(text: NDArray[np.uint8], begins_N: NDArray[np.int64], ends_N: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Views of parts of a text, the only buffer."""
    views_N2 = np.empty((len(begins_N), 2), dtype=np.uint64)
    for row in range(len(begins_N)):
        views_N2[row, 0], views_N2[row, 1] = view(text, begins_N[row], ends_N[row], 0)
    return views_N2


@njit(cache=True, inline="always")
def eight(text: NDArray[np.uint8], place: int) -> np.uint64:
    """Eight bytes as a little-endian number; the unsigned index, which cannot count from the end, makes it one load."""
    at = np.uint64(place)
    low = np.uint64(text[at]) | np.uint64(text[at + _1]) << _8 | np.uint64(text[at + _2]) << _16
    low |= np.uint64(text[at + _3]) << _24 | np.uint64(text[at + _4]) << _32
    high = np.uint64(text[at + _5]) << _40 | np.uint64(text[at + _6]) << _48
    return low | high | np.uint64(text[at + _7]) << _56


def series_of(
    name: str, views_N2: NDArray[np.uint64], is_given_N: NDArray[np.bool_] | None, texts: Sequence[NDArray[np.uint8]]
) -> pl.Series:
    """The texts that views point to, null where none is given; `texts` are the buffers, kept as long as the series."""
    bitmap = None if is_given_N is None else pa.py_buffer(np.packbits(is_given_N, bitorder="little"))
    buffers = [bitmap, pa.py_buffer(views_N2), *map(pa.py_buffer, texts)]
    return pl.Series(name, pa.Array.from_buffers(pa.string_view(), len(views_N2), buffers))


def joined(texts: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """All texts in one piece, and where each begins and ends; not copied where they are views of one text."""
    found = _viewed(texts)
    if found:
        return found
    whole = texts.str.join("").cast(pl.Binary).item() or b""
    ends_N = np.cumsum(texts.str.len_bytes().to_numpy().astype(np.int64))
    sizes_N = np.diff(ends_N, prepend=0)
    return np.frombuffer(whole, dtype=np.uint8), ends_N - sizes_N, ends_N


def _viewed(texts: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]] | None:
    """The text that all of these are views of, each behind the one before, if there is one."""
    if texts.is_empty() or texts.null_count() or texts.n_chunks() > 1:
        return None
    array = texts.to_arrow(compat_level=pl.CompatLevel.newest())
    _, views, *buffers = array.buffers()
    if len(buffers) != 1:
        return None
    views_N4 = np.frombuffer(views, dtype=np.int32).reshape(-1, 4)[array.offset : array.offset + len(array)]
    if views_N4[:, 0].min() <= _INLINE:
        return None
    begins_N = views_N4[:, 3].astype(np.int64)
    ends_N = begins_N + views_N4[:, 0]
    return (np.frombuffer(buffers[0], dtype=np.uint8), begins_N, ends_N) if _is_in_order(begins_N, ends_N) else None


def _is_in_order(begins_N: NDArray[np.int64], ends_N: NDArray[np.int64]) -> bool:
    """Whether no part of a text begins before the end of another that comes first."""
    return bool((begins_N[1:] >= ends_N[:-1]).all())
