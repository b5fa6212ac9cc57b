"""Reads an event log, in any process, while another one writes it: every entry is checked against the chain."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.stream.acknowledged import acknowledged
from serving.stream.lake import Lake, Segment
from serving.stream.log_entries import START, DamagedLog, Entry, Kept, Kind, Place, behind, digest, moment
from serving.stream.log_file import Connect, connect, explained, head, segments, transaction

_COLUMNS = "position, first, events, kind, accepted, principal, tenant, key, payload, chain"


class LogReader:
    """A log that is read, by any thread, its old entries out of the lake beside it (see `lake_of`).

    Every method raises DamagedLog, which names the file and the position, where the log is not as it was written, and
    LogUnwritable if it cannot be read just now. Opening raises NoLog.
    """

    def __init__(self, path: Path, connect: Connect = connect) -> None:
        self.path, self._lake, self._lock = path, Lake(lake_of(path)), threading.Lock()
        with explained(path):
            self._file = connect(path, False)

    def head(self) -> Place:
        """The place behind the last entry."""
        with self._glance():
            return head(self._file, self.path)

    def place(self, position: int) -> Place:
        """The place behind the entry at a position, or the start at 0."""
        with self._glance():
            return self._place(position, segments(self._file))

    def read(self, after: Place = START, *, most_entries: int = 1000, most_bytes: int = 64 << 20) -> list[Kept]:
        """Some entries behind `after`, in order: none at the head only, and at most one that ends above `most_bytes`.

        What is read twice, from the same place, is the same.
        """
        with self._glance():
            kept, size = [], 0
            for one in self._entries(after, most_entries):
                kept.append(one)
                size += len(one.entry.payload)
                if len(kept) == most_entries or size >= most_bytes:
                    break
            if not kept and after != (end := head(self._file, self.path)):
                raise self._damage(min(after.position, end.position) + 1, f"missing: the head is at {end.position}")
            return kept

    def verify(self, seen: Place = START) -> Place:
        """The head, if all that was acknowledged is as it was written, and `seen`, which was kept elsewhere, is in it.

        Reads everything, in the lake too, and each table and index.
        """
        noted, end = acknowledged(self.path), START
        while kept := self.read(end):
            end = kept[-1].place
        for place in (noted, seen):
            if place.position > end.position or self.place(place.position) != place:
                raise self._damage(place.position, "missing, or another than was acknowledged")
        with self._glance():
            for (found,) in self._file.execute("PRAGMA integrity_check(1)"):
                if found != "ok":
                    raise DamagedLog(f"{self.path}: {found}; restore it from a copy")
            if (row := self._file.execute(_WITHOUT_KEY).fetchone()) is not None:
                raise self._damage(row[0], "without its key")
        return end

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._file.close()

    @contextmanager
    def _glance(self) -> Iterator[None]:
        """The log as it is at one moment."""
        with self._lock, explained(self.path), transaction(self._file, "DEFERRED"):
            yield

    def _place(self, position: int, moved: list[Segment]) -> Place:
        base = moved[-1].last if moved else START
        if position == base.position:
            return base
        if 0 <= position < base.position:
            return self._lake.place(_holding(moved, position), position)
        sql = "SELECT position, first + events - 1, chain FROM entries WHERE position = ?"
        row = self._file.execute(sql, (position,)).fetchone()
        if row is None:
            raise self._damage(position, "missing")
        return Place(*row)

    def _entries(self, after: Place, most: int) -> Iterator[Kept]:
        moved = segments(self._file)
        if moved and after.position < moved[-1].last.position:
            yield from self._lake.read(_holding(moved, after.position + 1), after)
            return
        self._lake.forget()
        if after != self._place(after.position, moved):
            raise self._damage(after.position, "another than was read before")
        sql = f"SELECT {_COLUMNS} FROM entries WHERE position > ? ORDER BY position LIMIT ?"  # noqa: S608  # constant
        place = after
        for row in self._file.execute(sql, (after.position, most)):
            kept = self._kept(place, row)
            place = kept.place
            yield kept

    def _kept(self, before: Place, row: tuple[Any, ...]) -> Kept:
        """The entry of a row that comes next after `before`."""
        position, first, events, kind, accepted, principal, tenant, key, payload, chain = row
        expected = before.position + 1
        if position != expected:
            raise self._damage(expected, f"missing: {position} comes next")
        try:
            entry = Entry(Kind(kind), moment(accepted), principal, tenant, payload, events, key)
            place = behind(before, entry, digest(payload))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise self._damage(position, f"not as it was written ({error})") from error
        if (first, chain) != (before.events + 1, place.chain):
            raise self._damage(position, "not as it was written")
        return Kept(place, entry)

    def _damage(self, position: int, found: str) -> DamagedLog:
        return DamagedLog(f"{self.path}: position {position} is {found}; restore it from a copy")


_WITHOUT_KEY = """SELECT e.position FROM entries AS e LEFT JOIN keys AS k ON k.tenant = e.tenant AND k.key = e.key
WHERE e.key IS NOT NULL AND (k.position, k.first, k.events) IS NOT (e.position, e.first, e.events) LIMIT 1"""


def lake_of(path: Path) -> Path:
    """The folder of a log's old events: `lake` beside it."""
    return path.with_name("lake")


def _holding(moved: list[Segment], position: int) -> Segment:
    return next(segment for segment in moved if position <= segment.last.position)
