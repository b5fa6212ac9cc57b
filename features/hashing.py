"""A 64-bit hash of strings that is the same on every machine, in every batch, for ever."""

import numba as nb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.views import eight, joined, series_of, views_of, word

_MIX = np.uint64(0xC6A4A7935BD1E995)
_47 = np.uint64(47)
_LOW_64_BITS = 0xFFFF_FFFF_FFFF_FFFF


def hash64(values: pl.Series, seed: int = 0) -> NDArray[np.uint64]:
    """The hash of each value's UTF-8 text, (row,) uint64; null is 0 and nothing else is.

    MurmurHash64A (Austin Appleby, public domain). Other types than strings are hashed by their text.
    It is no secret: whoever knows the seed can make two strings collide.

    >>> [f"{code:016x}" for code in hash64(pl.Series(["hello world", None, "a"]))]
    ['d3ba2368a832afce', '0000000000000000', '071717d2d36b6b11']
    """
    texts = values.cast(pl.String)
    text, begins_B, ends_B = joined(texts.fill_null(""))
    codes_B = _hash_rows(text, begins_B, ends_B, np.uint64(seed & _LOW_64_BITS))
    codes_B[texts.is_null().to_numpy()] = 0
    return codes_B


def hex64(values: pl.Series) -> pl.Series:
    """The same hash as 16 hex digits, for ids; null stays null.

    >>> hex64(pl.Series(["hello world", None])).to_list()
    ['d3ba2368a832afce', None]
    """
    digits = np.frombuffer(hash64(values).astype(">u8").tobytes().hex().encode(), dtype=np.uint8)
    begins_B = np.arange(0, len(digits), 16)
    return series_of(values.name, views_of(digits, begins_B, begins_B + 16), values.is_not_null().to_numpy(), [digits])


@nb.njit(cache=True)
def _hash_row(text_N: NDArray[np.uint8], at: int, size: int, seed: np.uint64) -> np.uint64:
    code = seed ^ (np.uint64(size) * _MIX)
    end = at + size
    while end - at >= 8:
        mixed = eight(text_N, at) * _MIX
        code = (code ^ ((mixed ^ (mixed >> _47)) * _MIX)) * _MIX
        at += 8
    if at < end:
        code = (code ^ word(text_N, at, end)) * _MIX
    code = (code ^ (code >> _47)) * _MIX
    return code ^ (code >> _47)


@nb.njit(cache=True)
def _hash_rows(
    text_N: NDArray[np.uint8], begins_B: NDArray[np.int64], ends_B: NDArray[np.int64], seed: np.uint64
) -> NDArray[np.uint64]:
    codes_B = np.zeros(len(begins_B), dtype=np.uint64)
    for row in range(len(begins_B)):
        codes_B[row] = max(_hash_row(text_N, begins_B[row], ends_B[row] - begins_B[row], seed), np.uint64(1))
    return codes_B
