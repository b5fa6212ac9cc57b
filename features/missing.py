"""Which fields an event lacks, as a field of its own: what is left out can be as telling as what is said."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.distinct import numbers_alike
from features.hashing import hash64

#: The name of that field; a recipe's words may speak of it without declaring it.
MISSING = "missing"

_NOTHING = "nothing"
_MOST = 64


def missing(codes: Mapping[str, NDArray[np.uint64]]) -> tuple[pl.Series, NDArray[np.uint64]]:
    """The names of each event's missing fields, or `nothing`, and the hash of that text; of at most 64 fields.

    >>> missing({"user": np.array([7, 0, 0], np.uint64), "host": np.array([7, 7, 0], np.uint64)})[0].to_list()
    ['nothing', 'user', 'user, host']
    """
    names = list(codes)[:_MOST]
    bits_B = np.zeros(len(codes[names[0]]), np.uint64)
    for bit, name in enumerate(names):
        bits_B |= (codes[name] == 0).astype(np.uint64) << np.uint64(bit)
    groups = numbers_alike(bits_B)
    told = [
        ", ".join(name for bit, name in enumerate(names) if pattern >> bit & 1) or _NOTHING
        for pattern in bits_B[groups.first_G].tolist()
    ]
    few = pl.Series(MISSING, told, dtype=pl.String)
    return few[groups.group_B], hash64(few)[groups.group_B]
