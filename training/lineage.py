"""What a model learned from, in a few numbers that tell whether two jobs saw the same events."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from features.mistakes import FoundWrong


class NothingToLearn(FoundWrong):
    """There is not one event to learn from."""


@dataclass(frozen=True)
class Lineage:
    """The digest, count, and first and last moment of some events."""

    digest: str
    rows: int
    since: datetime
    until: datetime


def lineage_of(events: pl.DataFrame) -> Lineage:
    """The lineage of a frame of at least one event; its digest is a sha256 over times and uids, in any order.

    >>> day = pl.Series("time", [datetime(2026, 3, 2), datetime(2026, 3, 3)])
    >>> frame = pl.DataFrame({"time": day, "uid": ["a", "b"]})
    >>> lineage_of(frame) == lineage_of(frame.reverse())
    True
    """
    told = events.select("time", "uid").sort("time", "uid")
    digest = hashlib.sha256(told["time"].to_physical().to_numpy().astype("<i8").tobytes())
    digest.update("\n".join(told["uid"].to_list()).encode())
    since, until = told["time"][0], told["time"][-1]
    return Lineage(digest.hexdigest(), told.height, since, until)
