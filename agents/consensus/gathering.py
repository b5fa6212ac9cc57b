"""Gathers episodes into threads, which threats are made of."""

from dataclasses import dataclass

import polars as pl

from agents.consensus.episodes import Episodes
from agents.consensus.testimony import ANCHORS, named

_CORE = 0.5  # share of its peak from which an episode tells of a thread
_TOLD = 0.8  # share of a threat's gain that the things it is told by make up


@dataclass(frozen=True)
class Gathered:
    """Threads, by frames.

    `threads` has one row a thread: `thread`, `peak` (nats of its strangest episode), `first`, `last`; `episodes` has
    thread, kind, name, start, score, own; `told` the things that each is told by, heaviest first: thread, thing (row),
    gain; `domains` the share of each domain in its gain; `names` the entity and episode that each thread began with,
    those that joined it, too: thread, kind, name, start.
    """

    threads: pl.DataFrame
    episodes: pl.DataFrame
    told: pl.DataFrame
    domains: pl.DataFrame
    names: pl.DataFrame

    def of(self, threads: pl.Series) -> "Gathered":
        """What belongs to some threads."""
        mine = pl.col("thread").is_in(threads.implode())
        frames = (self.threads, self.episodes, self.told, self.domains, self.names)
        return Gathered(*(frame.filter(mine) for frame in frames))


def gathered(things: pl.DataFrame, found: Episodes) -> Gathered:
    """The threads in what held things make of their entities."""
    rows = _long(things, found)
    of_thread = rows.filter(pl.col("thread") > 0)
    episodes = of_thread.group_by("thread", "kind", "name", "start", maintain_order=True).agg(
        pl.col("score").max(), pl.col("own").max()
    )
    threads = of_thread.group_by("thread", maintain_order=True).agg(
        peak=pl.col("score").max(), first=pl.col("first_time").min(), last=pl.col("last_time").max()
    )
    peak = pl.col("score").max().over("thread")
    whole = pl.col("score").max().over("thread", "kind", "name", "start")  # what its witnesses said by the end
    told, shared = (_weights(of_thread.filter(score >= _CORE * peak)) for score in (pl.col("score"), whole))
    begun = rows.filter(pl.col("begun") > 0).select("thread", "kind", "name", "start")
    return Gathered(threads, episodes, _telling(told), _shares(shared), begun)


def _weights(core: pl.DataFrame) -> pl.DataFrame:
    """What each thing is worth to a thread, by its domain."""
    return core.group_by("thread", "thing", maintain_order=True).agg(
        pl.col("gain").max(), pl.col("domain").first(), pl.col("score").max()
    )


def _long(things: pl.DataFrame, found: Episodes) -> pl.DataFrame:
    """One row for each entity of each thing, in the order of the things."""
    base = things.with_row_index("thing").select("thing", "domain", "start", "first_time", "last_time", *ANCHORS)
    columns = {"score": found.score_NE, "own": found.own_NE, "gain": found.gain_NE, "thread": found.thread_NE}
    parts = [
        base.select("thing", "domain", "start", "first_time", "last_time", kind=pl.lit(anchor), name=named(kind))
        .with_columns(*(pl.Series(name, array_NE[:, e]) for name, array_NE in columns.items()))
        .with_columns(begun=pl.Series(found.begun_NE[:, e]))
        for e, (kind, anchor) in enumerate(ANCHORS.items())
    ]
    return pl.concat(parts).sort("thing", maintain_order=True)


def _telling(weights: pl.DataFrame) -> pl.DataFrame:
    """The fewest things that make up four fifths of each thread's gain, heaviest first."""
    ordered = weights.sort("gain", "score", descending=True, maintain_order=True)
    before = (pl.col("gain").cum_sum() - pl.col("gain")).over("thread")
    return ordered.filter(before <= _TOLD * pl.col("gain").sum().over("thread")).select("thread", "thing", "gain")


def _shares(weights: pl.DataFrame) -> pl.DataFrame:
    by_domain = weights.group_by("thread", "domain", maintain_order=True).agg(pl.col("gain").sum())
    whole = pl.col("gain").sum().over("thread")
    even = 1 / pl.len().over("thread")  # company alone speaks against it
    return by_domain.with_columns(share=pl.when(whole > 0).then(pl.col("gain") / whole).otherwise(even))
