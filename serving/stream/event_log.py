"""The durable event log: what was appended to it is on disk, once, in one order, before anybody hears that it is."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from features.whole_files import sync_folder
from serving.stream.acknowledged import Acknowledged, acknowledged
from serving.stream.lake import Lake, Segment
from serving.stream.log_entries import (
    START,
    DamagedLog,
    Entry,
    Kept,
    KeyTaken,
    LogUnwritable,
    Place,
    Receipt,
    behind,
    digest,
    since_1970,
)
from serving.stream.log_file import FORMAT, Connect, connect, explained, head, prepare, segments, transaction
from serving.stream.log_reader import LogReader, lake_of

#: How long a key is remembered after its entry went to the lake.
KEYS = timedelta(days=7)
#: How long before its entry was accepted an event can have been, and still be known when it comes again.
MARKS = timedelta(days=30)
#: Most events and entries of a segment of the lake, but for one that has more alone.
SEGMENT_EVENTS, SEGMENT_ENTRIES = 1 << 17, 1 << 16


class EventLog:
    """A log that is written, by one process at a time and any of its threads; read it with `serving.stream.log_reader`.

    Opening it raises LogInUse, LogUnwritable, and DamagedLog if it has lost what it once acknowledged.
    """

    def __init__(self, path: Path, connect: Connect = connect) -> None:
        self.path, self._connect, self._lake = path, connect, Lake(lake_of(path))
        self._appending, self._moving = threading.Lock(), threading.Lock()
        with ExitStack() as opened, explained(path), _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._acknowledged = Acknowledged(path)
            opened.callback(self._acknowledged.close)
            self._file = connect(path, True)
            opened.callback(self._file.close)
            self._prepare()
            self._opened = opened.pop_all()

    def append(self, entries: Sequence[Entry]) -> list[Receipt | KeyTaken]:
        """Commit all entries at once; the receipt of each, once they are on disk.

        An entry whose key and content were there before gets that one's receipt and is not kept again. One whose key
        has another content gets KeyTaken, and the others go on. Events whose marks are here are left out of an entry
        that has marks. Raises LogUnwritable, and DamagedLog.
        """
        with self._appending, explained(self.path):
            with transaction(self._file):
                end = head(self._file, self.path)
                answers = []
                for entry in entries:
                    if (answer := self._before(entry)) is None:
                        answer, end = self._kept(entry, end)
                    answers.append(answer)
                self._file.execute("UPDATE head SET position = ?, events = ?, chain = ?", _values(end))
            self._acknowledged.tell(end)
        return answers

    def head(self) -> Place:
        """The place behind the last entry."""
        with self._appending, explained(self.path):
            return head(self._file, self.path)

    def move(
        self, upto: int, *, keys: timedelta = KEYS, step: Callable[[str], None] = lambda step: None
    ) -> list[Segment]:
        """Move entries up to that position into the lake; they are read as before. `step` hears of each step.

        Wherever this is cut off, nothing is lost and nothing is there twice; the next call removes what was left
        half done. Keys of moved entries are forgotten that are older by `keys` than the last one moved. Raises
        DamagedLog and LogUnwritable.
        """
        moved: list[Segment] = []
        with self._moving, self._reader() as reader, _told(self.path):
            base = self._base()
            self._lake.clear(base, lambda position: reader.place(position).chain)
            while kept := _next(reader, base, upto):
                moved.append(self._lake.write(base, kept, step))
                self._remove(moved[-1], kept[-1].entry.accepted, keys)
                step("removed")
                base = moved[-1].last
        return moved

    def close(self) -> None:
        """Let another process write."""
        with self._moving, self._appending:
            self._opened.close()

    def _prepare(self) -> None:
        prepare(self._file)
        sync_folder(self.path.parent)
        if (version := self._file.execute("PRAGMA user_version").fetchone()) != (FORMAT,):
            raise DamagedLog(f"{self.path}: expected format {FORMAT}, found {version}")
        with self._reader() as reader:
            end, noted = reader.head(), acknowledged(self.path)
            is_short = noted.position > end.position
            if is_short or reader.place(end.position) != end or reader.place(noted.position) != noted:
                lost = f"position {noted.position} was acknowledged, and is not here; the head is at {end.position}"
                remedy = f"restore it from a copy, or remove {self.path.name}.lock to go on without"
                raise DamagedLog(f"{self.path}: {lost}; {remedy}")
        self._acknowledged.tell(end)

    def _reader(self) -> closing[LogReader]:
        return closing(LogReader(self.path, self._connect))

    def _before(self, entry: Entry) -> Receipt | KeyTaken | None:
        """The answer to an entry whose key was there before."""
        if entry.key is None:
            return None
        sql = "SELECT position, first, events, accepted, content, seal FROM keys WHERE tenant = ? AND key = ?"
        row = self._file.execute(sql, (entry.tenant, entry.key)).fetchone()
        if row is None:
            return None
        position, first, events, accepted, content, seal = row
        if seal != _seal(entry, (position, first, events), accepted, content):
            raise DamagedLog(f"{self.path}: the key of position {position} is not as it was written; restore it")
        if content != _stands_for(entry):
            return KeyTaken(f"key {entry.key!r} of {entry.tenant!r} is that of position {position}; choose another")
        return Receipt(position, first, events, is_repeated=True)

    def _kept(self, entry: Entry, before: Place) -> tuple[Receipt, Place]:
        """Keep an entry, without those of its events whose marks are here."""
        if entry.thinned is None:
            return self._insert(entry, before)
        if self._are_new(entry.marks):
            return self._insert(entry, before)
        is_known_B = np.array([self._file.execute(_ONE_MARK, (mark,)).fetchone() is None for mark in entry.marks])
        known = int(is_known_B.sum())
        if known == entry.events:
            return Receipt(before.position, before.events + 1, 0, known=known), before
        if known:
            entry = replace(entry, payload=entry.thinned(is_known_B), events=entry.events - known)
        receipt, end = self._insert(entry, before)
        return replace(receipt, known=known), end

    def _are_new(self, marks: Sequence[bytes]) -> bool:
        """Whether none of the marks was here; then they are now, all at once, which takes a third of the time."""
        self._file.execute("SAVEPOINT marks")
        before = self._changes()
        self._file.executemany(_MARK, [(mark,) for mark in marks])
        if not (are_new := self._changes() - before == len(marks)):
            self._file.execute("ROLLBACK TO marks")
        self._file.execute("RELEASE marks")
        return are_new

    def _changes(self) -> int:
        count: int = self._file.execute("SELECT total_changes()").fetchone()[0]
        return count

    def _insert(self, entry: Entry, before: Place) -> tuple[Receipt, Place]:
        end = behind(before, entry, digest(entry.payload))
        place = (end.position, before.events + 1, entry.events)
        who = (entry.kind, entry.microseconds, entry.principal, entry.tenant, entry.key)
        self._file.execute("INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?,?)", (*place, *who, entry.payload, end.chain))
        if entry.key is not None:
            content = _stands_for(entry)
            seal = _seal(entry, place, entry.microseconds, content)
            row = (entry.tenant, entry.key, *place, entry.microseconds, content, seal)
            self._file.execute("INSERT INTO keys VALUES (?,?,?,?,?,?,?,?)", row)
        return Receipt(*place), end

    def _base(self) -> Place:
        """The place behind the last entry in the lake."""
        with self._appending, explained(self.path):
            found = segments(self._file)
            return found[-1].last if found else START

    def _remove(self, segment: Segment, accepted: datetime, keys: timedelta) -> None:
        """Have the log name a segment and no longer hold its entries, nor keys and marks that are too old by then."""
        last, oldest = segment.last, since_1970(accepted - keys)
        forgotten = max(0, since_1970(accepted - MARKS) // 1_000_000).to_bytes(4, "big")
        with self._appending, explained(self.path), transaction(self._file):
            self._file.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", (*_values(last), segment.sha256))
            self._file.execute("DELETE FROM entries WHERE position <= ?", (last.position,))
            self._file.execute("DELETE FROM keys WHERE accepted < ? AND position <= ?", (oldest, last.position))
            self._file.execute("DELETE FROM marks WHERE mark < ?", (forgotten,))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """The disk's errors as LogUnwritable."""
    try:
        yield
    except OSError as error:
        raise LogUnwritable(f"{path}: the disk did not take it ({error}); free it and try again") from error


def _next(reader: LogReader, base: Place, upto: int) -> list[Kept]:
    """The entries of the next segment."""
    kept: list[Kept] = []
    while (after := kept[-1].place if kept else base).position < min(upto, base.position + SEGMENT_ENTRIES):
        if not (more := reader.read(after, most_entries=min(1000, upto - after.position))):
            break
        for one in more:
            if kept and one.place.events - base.events > SEGMENT_EVENTS:
                return kept
            kept.append(one)
    return kept


_MARK = "INSERT OR IGNORE INTO marks VALUES (?)"
_ONE_MARK = f"{_MARK} RETURNING 1"


def _values(place: Place) -> tuple[int, int, bytes]:
    return place.position, place.events, place.chain


def _stands_for(entry: Entry) -> bytes:
    return entry.content if entry.content is not None else digest(entry.payload)


def _seal(entry: Entry, place: Sequence[int], accepted: int, content: bytes) -> bytes:
    """A digest of the row of a key."""
    return digest(msgspec.json.encode((entry.tenant, entry.key, *place, accepted, content)))
