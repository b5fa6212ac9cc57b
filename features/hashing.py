"""A 64-bit hash of strings that is the same on every machine, in every batch, for ever."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from features.pointers import eight_at, pointers_to
from features.views import series_of, views_of

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
    codes_B = np.zeros(len(values), np.uint64)
    if values.null_count() < len(values):
        texts = pointers_to(values.cast(pl.String))
        _hash_rows(texts.addresses_B, texts.sizes_B, np.uint64(seed & _LOW_64_BITS), codes_B)
    return codes_B


def hex64(values: pl.Series) -> pl.Series:
    """The same hash as 16 hex digits, for ids; null stays null.

    >>> hex64(pl.Series(["hello world", None])).to_list()
    ['d3ba2368a832afce', None]
    """
    digits = np.frombuffer(hash64(values).astype(">u8").tobytes().hex().encode(), dtype=np.uint8)
    begins_B = np.arange(0, len(digits), 16)
    return series_of(values.name, views_of(digits, begins_B, begins_B + 16), values.is_not_null().to_numpy(), [digits])


@njit(cache=True)
def hash_at(address: np.uint64, size: np.uint64, seed: np.uint64) -> np.uint64:
    """The hash of `size` bytes of memory; eight can be read from `address` even where they are fewer."""
    code = seed ^ (size * _MIX)
    end = address + size
    while end - address >= np.uint64(8):
        mixed = eight_at(address) * _MIX
        code = (code ^ ((mixed ^ (mixed >> _47)) * _MIX)) * _MIX
        address += np.uint64(8)
    surplus = np.uint64(8) * (np.uint64(8) - (end - address))
    if address < end and size < np.uint64(8):
        code = (code ^ ((eight_at(address) << surplus) >> surplus)) * _MIX
    elif address < end:
        code = (code ^ (eight_at(end - np.uint64(8)) >> surplus)) * _MIX
    code = (code ^ (code >> _47)) * _MIX
    return max(code ^ (code >> _47), np.uint64(1))


@njit(cache=True)
def _hash_rows(
    addresses_B: NDArray[np.uint64], sizes_B: NDArray[np.int64], seed: np.uint64, codes_B: NDArray[np.uint64]
) -> None:
    for row in range(codes_B.size):
        if sizes_B[row] >= 0:
            codes_B[row] = hash_at(addresses_B[row], np.uint64(sizes_B[row]), seed)
