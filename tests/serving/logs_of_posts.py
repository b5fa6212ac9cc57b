"""An event log of posts of an estate, for tests of what is made of it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from features.logs import Events, cut, read_logs
from serving.folding.acts import Forgetting, Promotion
from serving.stream.event_log import EventLog
from serving.stream.log_entries import START, Entry, Kept, Kind
from serving.stream.log_reader import LogReader
from serving.stream.packing import packed

NOW = datetime(2026, 3, 5, tzinfo=UTC)


def posts_of(estate: Path, events: int, size: int) -> list[Events]:
    """The first events of an estate, cut into posts."""
    whole = read_logs([estate]).events
    return [post for _, post in zip(range(0, events, size), cut(whole, size), strict=False)]


def post(events: Events, principal: str = "sensor", key: str | None = None) -> Entry:
    """Events as an entry."""
    height = sum(frame.height for frame in events.values())
    return Entry(Kind.EVENTS, NOW, principal, "main", packed(events), height, key)


def promotion(release: int) -> Entry:
    """That a release takes over."""
    return Entry(Kind.PROMOTION, NOW, "secmesh", "main", msgspec.json.encode(Promotion(release)))


def forgetting(principal: str, since: int) -> Entry:
    """That what somebody sent should be forgotten."""
    return Entry(Kind.FORGET, NOW, "ann", "main", msgspec.json.encode(Forgetting(principal, "main", since)))


def written(path: Path, entries: Sequence[Entry]) -> None:
    """A log of these entries."""
    with closing(EventLog(path)) as log:
        log.append(entries)


def kept_in(path: Path, most: int = 1000) -> Iterator[list[Kept]]:
    """All that a log holds, so many entries at a time."""
    place = START
    with closing(LogReader(path)) as reader:
        while kept := reader.read(place, most_entries=most):
            place = kept[-1].place
            yield kept
