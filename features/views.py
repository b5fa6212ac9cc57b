"""Texts as Arrow's string views: columns that point into a text instead of copying it."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

#: Bytes of a text that its view holds itself.
_INLINE = 12


@njit(cache=True, inline="always")
def view(text: NDArray[np.uint8], begins: int, ends: int, buffer: int) -> tuple[np.uint64, np.uint64]:
    """The two words of a view (Arrow's columnar format, variable-size binary view): size, then all of it or where."""
    size = ends - begins
    low = np.uint64(size) | word(text, begins, min(begins + 4, ends)) << np.uint64(32)
    if size <= _INLINE:
        return low, word(text, min(begins + 4, ends), ends)
    return low, np.uint64(buffer) | np.uint64(begins) << np.uint64(32)


@njit(cache=True, inline="always")
def word(text: NDArray[np.uint8], begins: int, ends: int) -> np.uint64:
    """At most eight bytes as a little-endian number."""
    number, shift = np.uint64(0), np.uint64(0)
    for at in range(begins, ends):
        number |= np.uint64(text[at]) << shift
        shift += np.uint64(8)
    return number


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
    """The text that all of these are views of, if there is one."""
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
    return np.frombuffer(buffers[0], dtype=np.uint8), begins_N, begins_N + views_N4[:, 0]
