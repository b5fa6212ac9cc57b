"""Logs that still grow, looked at again and again: their new whole lines, each once, whatever rotates them.

A log is known again by its device and inode, and by the bytes around what was read of it: the first HEAD_BYTES and the
last HEAD_BYTES before the place where reading stopped. So a log that was renamed goes on where it was, one that was
emptied or overwritten starts over, and a copy of a log that is gone (as copytruncate makes one, or gzip) gives only
what had not been read. Text grows by lines; what is packed, an archive, UTF-16 or one JSON document is read whole, once
two looks in a row find it unchanged, and of it too only the lines that had not been given.

What cannot be told apart: a log that between two looks was overwritten with text which repeats both of those places
goes on where it was; a log that between two looks came and went, or of which no copy is left beside it, is not read.
"""

import glob
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from features.files import LINE_BYTES, members
from features.grown_lines import NO_LINES, grown
from features.lines import lines_of
from features.positions import Position, Positions
from features.sights import (
    Identity,
    Sight,
    Stamp,
    files_at,
    is_copy,
    is_read,
    is_read_whole,
    is_related,
    moved,
    opened,
    prints,
    read_at,
    seen_at,
)
from features.unpacking import Damaged

#: Logs whose files are held open from look to look, so that what is written to one that is moved or deleted is read.
OPEN_LOGS = 256
#: Looks without a new line after which a log that was moved out of what is followed, or deleted, is let go.
QUIET_LOOKS = 60
#: Looks during which the copy of a log that is gone is sought beside it, and such logs that are remembered.
SEEK_LOOKS, GONE_LOGS = 5, 1000

_NO_INODE = 0
_NO_NOTES: Mapping["Log", Any] = MappingProxyType({})

#: Which log, and which member of it, as long as the same Follower follows it; no two logs share one.
Log = tuple[int, str | None]


@dataclass(frozen=True)
class Appended:
    """Some new lines of one log, in order, as `features.lines` has them, of at most about CHUNK_BYTES.

    `source` is the path at which the log was first seen. `note` is what was noted when its lines were last taken, in
    this run or in one before. `changed` is when its file was last written to. `damage` says why nothing more of it can
    be read.
    """

    log: Log
    source: str
    lines: pl.DataFrame
    changed: datetime
    note: Any = None
    damage: str | None = None

    @property
    def member(self) -> str | None:
        """The member of an archive that this is."""
        return self.log[1]

    @property
    def name(self) -> str:
        """The innermost file name, without its folders."""
        return (self.member or self.source).replace("\\", "/").rpartition("/")[2]


@dataclass
class _Followed:
    """A log that is followed: the number it goes by, how far it was read, and how the last look found it."""

    number: int
    position: Position
    sight: Sight
    file: io.FileIO | None = None
    seen: Stamp | None = None
    quiet: int = 0

    def opened(self) -> io.FileIO:
        """Its file, held open from now on. Raises OSError."""
        if self.file is None:
            self.file = opened(self.sight)
        return self.file

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


def _turn(log: _Followed) -> tuple[bool, int]:
    """Those of which something was read go first, and of the others the oldest."""
    return (False, 0) if log.position.line else (True, log.sight.changed)


class Follower:
    """Follows logs, folders and globs. It reads no clock and never waits: each `poll` looks once.

    `kept` says where an earlier run stopped; only `taken` changes it. Files `apart`, such as one's own output, are
    never read. After a poll that was broken off go on with a new Follower.
    """

    def __init__(self, paths: Sequence[str | Path], kept: Positions, apart: Sequence[Path] = ()) -> None:
        self._paths = [str(path) for path in paths]
        self._kept = kept
        self._apart = [str(path) for path in (*apart, kept.path)]
        self._logs: dict[Identity, _Followed] = {}
        self._gone = [(position, 0) for position in kept.logs]
        self._unsettled: dict[Identity, Stamp] = {}
        self._unreadable: set[Identity] = set()
        self._numbers = itertools.count()
        self._looks = 0

    def poll(self) -> Iterator[Appended]:
        """Look once: all whole lines that are new, what is left of rotated logs before what begins anew."""
        sights = self._sights()
        settling, self._unsettled = self._unsettled, {}
        yield from self._part(sights)
        yield from self._welcome(sights, settling)
        for log in sorted(self._logs.values(), key=_turn):
            log.quiet += 1
            with suppress(FileNotFoundError):  # gone since this look began: the next one will see
                yield from self._whole(log, settling) if self._is_whole(log) else self._grown(log)
        yield from self._let_go()
        self._looks += 1

    def taken(self, notes: Mapping[Log, Any] = _NO_NOTES) -> None:
        """Everything given so far is safe with the consumer; `notes` is plain data to be given back with what follows.

        A consumer that must know something of the lines before, such as the state of a parser, notes it here.
        """
        for log in self._logs.values():
            if (log.number, None) in notes:
                log.position = replace(log.position, note=notes[log.number, None])
        gone = [position for position, _ in self._gone]
        self._kept.logs = (*gone, *(log.position for log in self._logs.values()))

    def before(self, appended: Appended) -> Iterator[pl.DataFrame]:
        """The lines above these in the same log, read again from its start: for a consumer that knows no more of them.

        To be asked for before the next Appended. Nothing, if it is the log's beginning.
        """
        first = int(appended.lines["line"][0]) if appended.lines.height else 0
        log = next((log for log in self._logs.values() if log.number == appended.log[0]), None)
        for frame in self._from_start(log, appended.member) if log and first else ():
            yield frame.filter(pl.col("line") < first)
            if frame["line"][-1] + 1 >= first:
                return

    def close(self) -> None:
        """Let go of the files that are held open."""
        for log in self._logs.values():
            log.close()

    def followed(self) -> frozenset[int]:
        """The numbers of the logs whose lines may still come; what is known of others need not be held."""
        return frozenset(log.number for log in self._logs.values() if not log.position.is_finished)

    # Which files there are, and which logs they are

    def _sights(self) -> dict[Identity, Sight]:
        """Every file in scope by its identity, so that one with two names is seen once."""
        apart = {sight.identity for path in self._apart if (sight := seen_at(path))}
        found: dict[Identity, Sight] = {}
        for file in itertools.chain.from_iterable(map(files_at, self._paths)):
            sight = seen_at(file)
            if sight and sight.identity not in apart:
                found.setdefault(sight.identity, sight)
        return found

    def _part(self, sights: Mapping[Identity, Sight]) -> Iterator[Appended]:
        """Part with logs whose file, or what was read of it, is not there any more; what is left of a deleted one."""
        for log in list(self._logs.values()):
            sight = sights.get(log.sight.identity) or _seen_open(log)
            try:
                is_intact = sight is not None and _is_intact(log, sight)
            except OSError:
                sight = None
            if sight is None:
                self._leave(log, log.position, self._looks)
            elif not is_intact:
                self._leave(log, replace(log.position, inode=_NO_INODE), self._looks)
            elif sight.is_deleted:
                log.sight = sight
                yield from self._grown(log)
                yield from self._last_line(log)
                self._leave(log, replace(log.position, inode=_NO_INODE), self._looks)
            else:
                log.sight = sight

    def _leave(self, log: _Followed, position: Position, look: int) -> None:
        """Follow a log no more; the copy of one that went with this look is sought."""
        log.close()
        del self._logs[log.sight.identity]
        self._gone.append((position, look))

    def _welcome(self, sights: Mapping[Identity, Sight], settling: Mapping[Identity, Stamp]) -> Iterator[Appended]:
        """Take up files that are not followed yet, the oldest first, those that go on from a gone log before others."""
        self._reclaim(sights.values())  # before any folder is searched: after a start all logs seem gone
        strangers = sorted([*self._strange(sights.values()), *self._beside(sights)], key=lambda sight: sight.changed)
        self._reclaim(strangers)
        fresh: list[Position] = []
        for sight in self._strange(strangers):
            try:
                inherited, is_whole = self._heritage(sight, settling)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield from self._refused(sight, error)
                continue
            self._unreadable.discard(sight.identity)
            if inherited:
                self._follow(sight, inherited)
            elif sight.in_scope and sight.identity not in self._unsettled:
                fresh.append(Position(str(sight.place), *sight.identity, is_whole=is_whole))
        for position in fresh:
            self._follow(sights[position.identity], position)

    def _strange(self, sights: Iterable[Sight]) -> list[Sight]:
        return [sight for sight in sights if sight.identity not in self._logs]

    def _reclaim(self, sights: Iterable[Sight]) -> None:
        """Go on with files that are back, or were there when an earlier run stopped."""
        waiting = {position.identity: position for position, _ in self._gone if position.offset}
        back: set[Identity] = set()
        for sight in sorted(self._strange(sights), key=lambda sight: sight.changed):
            if position := waiting.get(sight.identity):
                with suppress(OSError), opened(sight) as file:
                    if is_read(file, sight, position):
                        self._follow(sight, position)
                        back.add(sight.identity)
        self._gone = [entry for entry in self._gone if entry[0].identity not in back]

    def _beside(self, sights: Mapping[Identity, Sight]) -> Iterator[Sight]:
        """Files out of scope that may hold what was not read of logs that went lately."""
        recent = [position for position, look in self._gone if self._looks - look < SEEK_LOOKS]
        identities = {position.identity for position in recent}
        for folder, sources in _by_folder(position.source for position in recent).items():
            for file in glob.iglob(os.path.join(glob.escape(folder), "*")):
                sight = seen_at(file)
                is_near = sight and (
                    sight.identity in identities or any(is_related(file, source) for source in sources)
                )
                if sight and is_near and sight.identity not in sights:
                    yield replace(sight, in_scope=False)

    def _heritage(self, sight: Sight, settling: Mapping[Identity, Stamp]) -> tuple[Position | None, bool]:
        """The position of the gone log that this file is a copy of, if it is, and whether it is to be read whole."""
        with opened(sight) as file:
            is_whole = is_read_whole(file)
            if is_whole and settling.get(sight.identity) != sight.stamp:
                self._unsettled[sight.identity] = sight.stamp
                return None, is_whole
            for entry in sorted(self._gone, key=lambda entry: not entry[0].offset):
                if is_copy(file, sight, entry[0], is_whole):
                    self._gone.remove(entry)
                    return moved(entry[0], sight, is_whole), is_whole
            return None, is_whole

    def _follow(self, sight: Sight, position: Position) -> None:
        self._logs[sight.identity] = _Followed(next(self._numbers), position, sight)

    def _refused(self, sight: Sight, error: OSError) -> Iterator[Appended]:
        """Say once that a file cannot be read; it is tried again with each look."""
        if sight.in_scope and sight.identity not in self._unreadable:
            self._unreadable.add(sight.identity)
            reason = f"cannot be read ({error.strerror}); make it readable for this user"
            yield Appended((next(self._numbers), None), str(sight.place), NO_LINES, sight.at, damage=reason)

    # What is in them

    def _is_whole(self, log: _Followed) -> bool:
        """Whether to read it whole; decided by its first bytes until lines of it were given."""
        if log.position.line == 0 and log.position.offset == 0 and log.sight.size and not log.position.is_whole:
            log.position = replace(log.position, is_whole=is_read_whole(log.opened()))
        return log.position.is_whole

    def _grown(self, log: _Followed) -> Iterator[Appended]:
        """Its new whole lines, each frame as soon as it is read; none that was overwritten while it was read."""
        if log.seen == log.sight.stamp:
            return
        file = log.opened()
        for lines, position in grown(file, log.position, log.sight.size):
            head, tail = prints(file, position.offset)
            if not is_read(file, log.sight, log.position):
                return
            log.position, log.quiet = replace(position, head=head, tail=tail), 0
            if lines.height:
                yield Appended((log.number, None), position.source, lines, log.sight.at, log.position.note)
        log.seen = log.sight.stamp

    def _whole(self, log: _Followed, settling: Mapping[Identity, Stamp]) -> Iterator[Appended]:
        """Its lines that were not given, if it is new or has grown and does not grow any more."""
        log.close()
        position, place = log.position, log.sight.place
        if place is None or (position.is_finished and position.offset == log.sight.size):
            log.seen = log.sight.stamp
            return
        if log.seen is not None and settling.get(log.sight.identity) != log.sight.stamp:
            self._unsettled[log.sight.identity] = log.sight.stamp
            return
        with opened(log.sight) as file:
            head, tail = prints(file, log.sight.size)
        log.position = replace(position, offset=log.sight.size, head=head, tail=tail, is_finished=False)
        yield from self._ungiven(log, place)
        log.position = replace(log.position, is_finished=True)
        log.seen = log.sight.stamp

    def _ungiven(self, log: _Followed, place: str) -> Iterator[Appended]:
        """Lines of all members of a log read whole but for as many as were given."""
        given, passed = log.position.line, 0
        for member in members([place]):
            key, source = (log.number, member.member), log.position.source
            try:
                for lines in member.lines():
                    passed += lines.height
                    if passed > given:
                        log.position = replace(log.position, line=passed)
                        yield Appended(key, source, lines.tail(passed - given), log.sight.at, log.position.note)
                        given = passed
            except Damaged as damage:
                yield Appended(key, source, NO_LINES, log.sight.at, log.position.note, str(damage))

    def _from_start(self, log: _Followed, member: str | None) -> Iterator[pl.DataFrame]:
        if not log.position.is_whole:
            start = Position(log.position.source, *log.sight.identity)
            yield from (lines for lines, _ in grown(log.opened(), start, log.position.offset) if lines.height)
            return
        for part in members([log.sight.place] if log.sight.place else []):
            if part.member == member:
                yield from part.lines()

    # How they are left

    def _let_go(self) -> Iterator[Appended]:
        """Leave what is out of scope and quiet, its last line given even if it has no end; hold few files open."""
        for log in list(self._logs.values()):
            if not log.sight.in_scope and (log.quiet > QUIET_LOOKS or log.position.is_finished):
                yield from self._last_line(log)
                self._leave(log, log.position, self._looks - SEEK_LOOKS)
        self._gone = self._gone[-GONE_LOGS:]
        held = sorted((log for log in self._logs.values() if log.file), key=lambda log: log.sight.changed)
        for log in [log for log in held if log.sight.in_scope][: max(len(held) - OPEN_LOGS, 0)]:
            log.close()

    def _last_line(self, log: _Followed) -> Iterator[Appended]:
        position = log.position
        rest = b"" if position.is_whole else read_at(log.opened(), position.offset, LINE_BYTES)
        if rest and not position.is_inside_line:
            offset = position.offset + len(rest)
            head, tail = prints(log.opened(), offset)
            log.position = replace(position, offset=offset, line=position.line + 1, head=head, tail=tail)
            lines = lines_of(rest, position.line)
            yield Appended((log.number, None), position.source, lines, log.sight.at, position.note)


def _seen_open(log: _Followed) -> Sight | None:
    """A file that was moved out of scope or deleted, if it is held open or still where it was found."""
    if log.file is not None:
        found = os.fstat(log.file.fileno())
        return Sight(None, log.sight.identity, found.st_size, found.st_mtime_ns, False, found.st_nlink == 0)
    sight = seen_at(log.sight.place) if log.sight.place and not log.sight.in_scope else None
    return replace(sight, in_scope=False) if sight and sight.identity == log.sight.identity else None


def _by_folder(files: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in files:
        found.setdefault(os.path.dirname(file), set()).add(file)
    return found


# Logs that were seen before


def _is_intact(log: _Followed, sight: Sight) -> bool:
    """Whether what was read is still there; a file that is not held open and looks unchanged is not opened for it."""
    if log.file is not None:
        return is_read(log.file, sight, log.position)
    if log.seen == sight.stamp:
        return True
    with opened(sight) as file:
        return is_read(file, sight, log.position)
