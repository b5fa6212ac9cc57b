"""Marks: by what the log knows an event that comes again, whoever sends it again and together with whatever else.

An event is the same as another if it has the same id, which its log gave it or which its text makes, and the same time.
Events of one post that are alike, as two requests in one second can be, are as many events.
"""

from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.events import Domain
from features.logs import Events

#: Bytes of a mark; the first four are the second of the event, so that marks of one time are near to each other.
SIZE = 16


def marks_of(events: Events, tenant: str) -> list[bytes]:
    """A mark for each event of a post, domain by domain and row by row."""
    marks: list[bytes] = []
    for domain in Domain:
        if domain in events:
            rows = events[domain].select(
                pl.col("time").dt.epoch("s").clip(0, 2**32 - 1),
                pl.format(f"{domain}\n{{}}\n{{}}", pl.int_range(pl.len()).over("uid", "time"), "uid"),
            )
            key = tenant.encode()[:64]
            marks += [
                second.to_bytes(4, "big") + blake2b(text.encode(), digest_size=SIZE - 4, key=key).digest()
                for second, text in rows.iter_rows()
            ]
    return marks


def without(events: Events, is_known_B: NDArray[np.bool_]) -> Events:
    """The events whose marks are not known, in the order of `marks_of`."""
    left, start = {}, 0
    for domain in Domain:
        if domain in events:
            end = start + events[domain].height
            left[domain] = events[domain].filter(~is_known_B[start:end])
            start = end
    return {domain: frame for domain, frame in left.items() if frame.height}
