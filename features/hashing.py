"""A 64-bit hash of strings that is the same on every machine, in every batch, for ever."""

import numba as nb
import numpy as np
import polars as pl
from numpy.typing import NDArray

_MIX = np.uint64(0xC6A4A7935BD1E995)
_47 = np.uint64(47)
_8 = np.uint64(8)
_LOW_64_BITS = 0xFFFF_FFFF_FFFF_FFFF


def hash64(values: pl.Series, seed: int = 0) -> NDArray[np.uint64]:
    """The hash of each value's UTF-8 text, (row,) uint64; null is 0 and nothing else is.

    MurmurHash64A (Austin Appleby, public domain). Other types than strings are hashed by their text.
    It is no secret: whoever knows the seed can make two strings collide.

    >>> [f"{code:016x}" for code in hash64(pl.Series(["hello world", None, "a"]))]
    ['d3ba2368a832afce', '0000000000000000', '071717d2d36b6b11']
    """
    text = values.cast(pl.String)
    joined = text.drop_nulls().str.join("").cast(pl.Binary).item()
    lengths = text.str.len_bytes().cast(pl.Int64).fill_null(-1).to_numpy()
    return _hash_rows(np.frombuffer(joined, dtype=np.uint8), lengths, np.uint64(seed & _LOW_64_BITS))


def hex64(values: pl.Series) -> pl.Series:
    """The same hash as 16 hex digits, for ids; null stays null.

    >>> hex64(pl.Series(["hello world", None])).to_list()
    ['d3ba2368a832afce', None]
    """
    digits = hash64(values).astype(">u8").tobytes().hex()
    names = [digits[at : at + 16] for at in range(0, len(digits), 16)]
    return pl.Series(values.name, names, dtype=pl.String).set(values.is_null(), None)


@nb.njit("uint64(uint8[::1], int64, int64)", cache=True, inline="always")
def _word(text_N: NDArray[np.uint8], at: int, size: int) -> np.uint64:
    """`size` (at most 8) bytes as one little-endian number."""
    word = np.uint64(0)
    for byte in range(size):
        word |= np.uint64(text_N[at + byte]) << np.uint64(8 * byte)
    return word


@nb.njit(cache=True)
def _hash_row(text_N: NDArray[np.uint8], at: int, size: int, seed: np.uint64) -> np.uint64:
    code = seed ^ (np.uint64(size) * _MIX)
    end = at + size
    while end - at >= 8:
        word = _word(text_N, at, 8) * _MIX
        code = (code ^ ((word ^ (word >> _47)) * _MIX)) * _MIX
        at += 8
    if at < end:
        code = (code ^ _word(text_N, at, end - at)) * _MIX
    code = (code ^ (code >> _47)) * _MIX
    return code ^ (code >> _47)


@nb.njit(cache=True)
def _hash_rows(text_N: NDArray[np.uint8], lengths_B: NDArray[np.int64], seed: np.uint64) -> NDArray[np.uint64]:
    """Walk the joined bytes; a length of -1 marks a null row."""
    codes_B = np.zeros(len(lengths_B), dtype=np.uint64)
    at = 0
    for row in range(len(lengths_B)):
        if lengths_B[row] >= 0:
            codes_B[row] = max(_hash_row(text_N, at, lengths_B[row], seed), np.uint64(1))
            at += lengths_B[row]
    return codes_B
