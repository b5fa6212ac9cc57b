"""Texts by where they lie in memory: compiled code reads them there, nothing is copied or joined."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
from llvmlite import ir  # type: ignore[import-untyped] # it has no types
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

#: Bytes of a text that its view holds itself.
_INLINE = 12


@dataclass(frozen=True)
class Pointers:
    """Where each of B texts begins in memory, and its bytes, -1 where there is no text.

    Eight bytes can be read from the beginning of a shorter text, too. `array` owns the memory.
    """

    addresses_B: NDArray[np.uint64]
    sizes_B: NDArray[np.int64]
    array: pa.Array


def pointers_to(texts: pl.Series) -> Pointers:
    """The texts of a column of strings, where they lie."""
    array = texts.to_arrow(compat_level=pl.CompatLevel.newest())
    addresses_B, sizes_B = np.zeros(len(texts), np.uint64), np.full(len(texts), -1)
    if texts.null_count() < len(texts):
        _, views, *buffers = array.buffers()
        views_B2 = np.frombuffer(views, np.uint64).reshape(-1, 2)[array.offset : array.offset + len(array)]
        given_B = texts.is_not_null().to_numpy()
        places = np.array([buffer.address for buffer in buffers], np.uint64)
        _find_rows(views_B2, np.uint64(views_B2.ctypes.data), given_B, places, addresses_B, sizes_B)
    return Pointers(addresses_B, sizes_B, array)


@njit(cache=True)
def _find_rows(
    views_B2: NDArray[np.uint64],
    views_at: np.uint64,
    given_B: NDArray[np.bool_],
    places: NDArray[np.uint64],
    addresses_B: NDArray[np.uint64],
    sizes_B: NDArray[np.int64],
) -> None:
    """A view is its text's size and then the text, or four bytes of it, a buffer's number and a place in the buffer."""
    for row in range(sizes_B.size):
        if given_B[row]:
            sizes_B[row] = np.int64(views_B2[row, 0] & np.uint64(0xFFFF_FFFF))
            if sizes_B[row] <= _INLINE:
                addresses_B[row] = views_at + np.uint64(16 * row + 4)
            else:
                where = views_B2[row, 1]
                addresses_B[row] = places[where & np.uint64(0xFFFF_FFFF)] + (where >> np.uint64(32))


@njit(cache=True)
def same_text(one: np.uint64, other: np.uint64, size: int) -> bool:
    """Whether `size` bytes are the same at two addresses."""
    if size < 8:
        return size == 0 or (eight_at(one) ^ eight_at(other)) << np.uint64(64 - 8 * size) == 0
    for at in range(0, size - 8, 8):
        if eight_at(one + np.uint64(at)) != eight_at(other + np.uint64(at)):
            return False
    last = np.uint64(size - 8)
    return bool(eight_at(one + last) == eight_at(other + last))


def _eight_at(typing_context, address):  # type: ignore[no-untyped-def] # numba calls it with its own types
    """The eight bytes at an address, as a little-endian number."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def] # numba calls it, too
        place = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return types.uint64(types.uint64), generate


#: The eight bytes at an address.
eight_at: Callable[[np.uint64], np.uint64] = cast(Any, intrinsic(_eight_at))
