"""The past that a job learns from, in memory or on disk: the events of each domain in the order of time, in slices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import polars as pl

from features.events import Domain
from features.logs import Events, cut
from training.lineage import Lineage, lineage_of

_SIDE: Mapping[bool, Literal["left", "right"]] = {False: "left", True: "right"}


class Past(Protocol):
    """Events of some domains; where they are cut into slices makes no difference."""

    @property
    def rows(self) -> Mapping[Domain, int]:
        """How many events each domain has, of those that have any."""
        ...

    def slices(self, domain: Domain) -> Iterator[pl.DataFrame]:
        """The domain's events in the order of time."""
        ...

    def lineage(self, domain: Domain) -> Lineage:
        """What `training.lineage.lineage_of` says of the domain's events."""
        ...

    def parted(self, newest: int) -> tuple["Past", Events]:
        """The older events, and at most `newest` newer ones over all domains; a moment is never parted."""
        ...


@dataclass(frozen=True)
class Remembered:
    """A past in memory; each frame is in the order of time."""

    events: Events

    @property
    def rows(self) -> dict[Domain, int]:
        """How many events each domain has, of those that have any."""
        return {domain: self.events[domain].height for domain in Domain if len(self.events.get(domain, ()))}

    def slices(self, domain: Domain) -> Iterator[pl.DataFrame]:
        """All of the domain's events at once."""
        yield self.events[domain]

    def lineage(self, domain: Domain) -> Lineage:
        """The lineage of the domain's events."""
        return lineage_of(self.events[domain])

    def parted(self, newest: int) -> tuple["Remembered", Events]:
        """The older events, and at most `newest` newer ones over all domains; a moment is never parted."""
        until = pl.concat([frame["time"] for frame in self.events.values()]).sort()[-newest - 1]
        older = {domain: frame.filter(pl.col("time") <= until) for domain, frame in self.events.items()}
        newer = {domain: frame.filter(pl.col("time") > until) for domain, frame in self.events.items()}
        return Remembered(older), {domain: frame for domain, frame in newer.items() if frame.height}


def past_of(told: Events | Past) -> Past:
    """The past itself, or that of events in memory."""
    return Remembered(told) if isinstance(told, Mapping) else told


def batches(past: Past, rows: int) -> Iterator[Events]:
    """The log of all domains in batches of `rows` events, the last one smaller, in the order of `features.logs`."""
    held: Events = {}
    for stretch in stretches(past):
        joined, held = _joined(held, stretch), {}
        for batch in cut(joined, rows):
            if _size(batch) == rows:
                yield batch
            else:
                held = batch
    if held:
        yield held


def stretches(past: Past) -> Iterator[Events]:
    """The log of all domains, cut wherever a slice of one of them ends: at one time a slice of each is in memory."""
    coming = {domain: past.slices(domain) for domain in past.rows}
    held = {domain: next(slices) for domain, slices in coming.items()}
    while held:
        until, last = min((frame["time"][-1], _place(domain)) for domain, frame in held.items())
        # What is of one time comes by domain, so that of a later domain it waits.
        stops = {d: frame["time"].search_sorted(until, _SIDE[_place(d) <= last]) for d, frame in held.items()}
        yield {domain: frame[: stops[domain]] for domain, frame in held.items() if stops[domain]}
        held = {domain: frame[stops[domain] :] for domain, frame in held.items()}
        ended = list(Domain)[last]
        if (following := next(coming[ended], None)) is None:
            del held[ended]
        else:
            held[ended] = following


def _place(domain: Domain) -> int:
    return list(Domain).index(domain)


def _joined(one: Events, other: Events) -> Events:
    both = {domain: [events[domain] for events in (one, other) if domain in events] for domain in {**one, **other}}
    return {domain: pl.concat(frames) for domain, frames in both.items()}


def _size(events: Events) -> int:
    return sum(frame.height for frame in events.values())
