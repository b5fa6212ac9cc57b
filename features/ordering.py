"""Events as they arrive, given on in the order of time: each waits for those that may still be on their way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from features.events import TIME, Domain


@dataclass(frozen=True)
class Ripe:
    """Events of each domain in the order of time, and whether each is late: an event after it was given already."""

    events: Mapping[Domain, pl.DataFrame] = field(default_factory=dict)
    late: Mapping[Domain, pl.Series] = field(default_factory=dict)


class Ordering:
    """Holds events for `horizon` behind the newest time seen, at most `most` of them.

    However the events are cut into batches, those that are not late come out sorted, and the same ones are late; only
    `most` can make more of them late.
    """

    def __init__(self, horizon: timedelta, most: int = 1_000_000) -> None:
        self._horizon, self._most = horizon, most
        self._held: dict[Domain, pl.DataFrame] = {}
        self._newest: datetime | None = None

    def take(self, events: Mapping[Domain, pl.DataFrame], now: datetime | None = None) -> Ripe:
        """Hold the events of some lines and give those that are ripe; times after `now` make nothing ripe or late."""
        is_late = self._late(events, now)
        for domain, frame in events.items():
            marked = frame.with_columns(is_late[domain])
            self._held[domain] = pl.concat([self._held[domain], marked]) if domain in self._held else marked
        self._make_room()
        ripe = pl.col("late")
        if self._newest is not None:
            ripe |= pl.col("time") < self._newest - self._horizon
        return self._given(ripe)

    def rest(self) -> Ripe:
        """Give all that is held."""
        return self._given(pl.lit(True))

    def _late(self, events: Mapping[Domain, pl.DataFrame], now: datetime | None) -> dict[Domain, pl.Series]:
        """Whether each event comes behind more than the horizon; the newest time goes on."""
        arrived = [
            frame.select("line", "time", domain=pl.lit(domain.value), row=pl.int_range(pl.len()))
            for domain, frame in events.items()
        ]
        if not arrived:
            return {}
        stamps = pl.concat(arrived).sort("line", maintain_order=True)
        known = pl.col("time").clip(upper_bound=now) if now else pl.col("time")
        newest = known.cum_max().shift(1).fill_null(pl.lit(self._newest, TIME))
        before = pl.max_horizontal(newest, pl.lit(self._newest, TIME))
        marked = stamps.with_columns(late=(pl.col("time") < before - self._horizon).fill_null(False))
        last = stamps.select(pl.max_horizontal(known.max(), pl.lit(self._newest, TIME))).item()
        self._newest = last
        return {domain: marked.filter(pl.col("domain") == domain.value).sort("row")["late"] for domain in events}

    def _make_room(self) -> None:
        """Where too many events are held, the newest time is taken for so much newer that the oldest become ripe."""
        surplus = sum(frame.height for frame in self._held.values()) - self._most
        if surplus > 0:
            times = pl.concat([frame["time"] for frame in self._held.values()]).sort()
            least = times[surplus - 1] + self._horizon + timedelta(microseconds=1)
            self._newest = max(self._newest or least, least)

    def _given(self, is_ripe: pl.Expr) -> Ripe:
        parts = {
            domain: frame.filter(is_ripe).sort("time", maintain_order=True) for domain, frame in self._held.items()
        }
        left = {domain: frame.filter(~is_ripe) for domain, frame in self._held.items()}
        self._held = {domain: frame for domain, frame in left.items() if frame.height}
        parts = {domain: frame for domain, frame in parts.items() if frame.height}
        return Ripe(
            {domain: frame.drop("late") for domain, frame in parts.items()},
            {domain: frame["late"] for domain, frame in parts.items()},
        )
