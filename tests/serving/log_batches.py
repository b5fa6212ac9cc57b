"""Batches of events as entries, for tests of the log."""

from datetime import UTC, datetime, timedelta

import polars as pl

from features.admission import admit
from features.events import Domain
from features.logs import Events
from features.source import Drafts
from serving.stream.log_entries import Entry, Kept, Kind
from serving.stream.packing import packed

START_TIME = datetime(2024, 5, 1, tzinfo=UTC)


def events(number: int, count: int = 3) -> Events:
    """Events of two domains, or of one if there is one event; other numbers give other events."""
    rows = [
        {
            "line": n,
            "text": f"{number} {n}",
            "time": START_TIME + timedelta(seconds=number, milliseconds=n),
            "actor_user_name": f"u{number}",
        }
        for n in range(count)
    ]
    halves = {Domain.DNS: rows[: count // 2], Domain.NETWORK: rows[count // 2 :]}
    drafts = {domain: pl.DataFrame(half).cast({"line": pl.Int64}) for domain, half in halves.items() if half}
    return admit(Drafts(drafts), f"sensor {number % 3}", None).events


def batch(number: int, count: int = 3, key: str | None = None, tenant: str = "t") -> Entry:
    """Events as an entry."""
    return Entry(Kind.EVENTS, at(number), f"p{number % 2}", tenant, packed(events(number, count)), count, key)


def decision(number: int, key: str | None = None) -> Entry:
    """An entry without events."""
    return Entry(Kind.DECISION, at(number), "ann", "t", f'{{"approve":{number}}}'.encode(), 0, key)


def at(number: int) -> datetime:
    """When an entry is accepted."""
    return START_TIME + timedelta(minutes=number, microseconds=1)


def said(kept: list[Kept]) -> list[Entry]:
    """The entries alone."""
    return [one.entry for one in kept]
