"""Marks: by what the log knows an event that comes again, whoever sends it again and together with whatever else.

An event is the same as another if it has the same id, which its log gave it or which its text makes, and the same time.
Events of one post that are alike, as two requests in one second can be, are as many events.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.events import Domain
from features.hashing import hash64
from features.logs import Events

#: Bytes of a mark; the first four are the second of the event, so that marks of one time are near to each other.
SIZE = 16

_MARK = np.dtype([("second", ">u4"), ("hash", ">u8"), ("rest", ">u4")])
_SEED = 0x5EC0_3E54


def marks_of(events: Events) -> list[bytes]:
    """A mark for each event of a post, domain by domain and row by row.

    Hashes are not secret: who makes up an id with another's mark could as well send the other's id.
    """
    marks: list[bytes] = []
    for domain in Domain:
        if domain in events:
            rows = events[domain].select(
                second=pl.col("time").dt.epoch("s").clip(0, 2**32 - 1),
                text=pl.format(f"{domain}\n{{}}\n{{}}", _number(events[domain]), "uid"),
            )
            marks_B = np.empty(rows.height, _MARK)
            marks_B["second"] = rows["second"].to_numpy()
            marks_B["hash"] = hash64(rows["text"])
            marks_B["rest"] = hash64(rows["text"], _SEED) & 0xFFFF_FFFF
            content = marks_B.tobytes()
            marks += [content[start : start + SIZE] for start in range(0, len(content), SIZE)]
    return marks


def _number(frame: pl.DataFrame) -> pl.Series:
    """How many rows before each are alike; to find that there are none is quick."""
    if frame.select("uid", "time").is_duplicated().any():
        return frame.select(pl.int_range(pl.len()).over("uid", "time")).to_series()
    return pl.Series([0]).new_from_index(0, frame.height)


def without(events: Events, is_known_B: NDArray[np.bool_]) -> Events:
    """The events whose marks are not known, in the order of `marks_of`."""
    left, start = {}, 0
    for domain in Domain:
        if domain in events:
            end = start + events[domain].height
            left[domain] = events[domain].filter(~is_known_B[start:end])
            start = end
    return {domain: frame for domain, frame in left.items() if frame.height}
