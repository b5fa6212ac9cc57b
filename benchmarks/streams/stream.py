"""A data set as a stream: events in the order of time, and the ways in which scores of events are judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from features.events import Domain
from features.logs import Events

#: Which events are not scored, only learned from, where not all are: an expression over their columns.
Asked = Mapping[Domain, pl.Expr]

#: Scored events (`score` is null where a slow method left one out) to units: `time`, `score`, `bad`.
Judge = Callable[[pl.DataFrame], pl.DataFrame]

WINDOW = timedelta(minutes=10)

#: How the scores of a unit's events become the unit's.
HIGHEST, MEAN = pl.col("score").max(), pl.col("score").mean()


@dataclass(frozen=True)
class View:
    """One way of judging a stream, a row of the table; `quiet` says that nothing in it is bad, so alarms are counted.

    `delayed` labels the single events where it is asked how long the attack went on before it was noticed.
    """

    name: str
    judge: Judge
    quiet: bool = False
    delayed: Judge | None = None


@dataclass(frozen=True)
class Stream:
    """Events by domain in the order of time, without labels, and how their scores are judged.

    A judge gets the scored events of all domains with `domain`, `row` (of its domain's frame), their columns and
    `score`, and reads the labels only then.
    """

    name: str
    events: Events
    views: tuple[View, ...]
    asked: Asked = field(default_factory=dict)
    naive: Mapping[Domain, Callable[[pl.DataFrame], pl.Series]] = field(default_factory=dict)

    def asked_rows(self, domain: Domain) -> pl.Series:
        """The rows of the domain's events that are scored."""
        rows = self.events[domain].with_row_index("row")
        return rows.filter(self.asked.get(domain, pl.lit(True)))["row"]


def by_event(labelled: Judge) -> Judge:
    """Each scored event is a unit; `labelled` adds `bad`, null where an event is left out."""
    return lambda scored: labelled(scored).filter(pl.col("score").is_not_null(), pl.col("bad").is_not_null())


def by_unit(labelled: Judge, *keys: pl.Expr, gathered: pl.Expr = HIGHEST) -> Judge:
    """Events that share `keys` are a unit, bad where one of them is, left out where any is null and none bad."""

    def judge(scored: pl.DataFrame) -> pl.DataFrame:
        grouped = labelled(scored).group_by(*(key.alias(f"key {k}") for k, key in enumerate(keys)))
        units = grouped.agg(
            pl.col("time").min(),
            score=gathered,
            bad=pl.when(pl.col("bad").any()).then(True).when(pl.col("bad").is_null().any()).then(None).otherwise(False),
        )
        lowest = pl.col("score").min() - 1.0  # of what a slow method had no time for
        told = units.with_columns(pl.col("score").fill_null(lowest)).filter(pl.col("bad").is_not_null())
        return told.sort("time", "key 0")

    return judge


def kinds_added(kind: pl.Expr) -> pl.Expr:
    """A unit's score as the sum, over its distinct kinds of event, of the highest score of each."""
    return pl.col("score").fill_null(0.0).sort_by("score").filter(kind.sort_by("score").is_last_distinct()).sum()


def window() -> pl.Expr:
    """The ten minutes that an event falls into."""
    return pl.col("time").dt.truncate(WINDOW)


def all_good(scored: pl.DataFrame) -> pl.DataFrame:
    """The labels of a stream in which nothing is bad."""
    return scored.with_columns(bad=pl.lit(False))
