"""Logs that still grow, looked at again and again: their new whole lines, each once, whatever rotates them.

A log is known again by its device and inode, and by the bytes around what was read of it: the first HEAD_BYTES and the
last HEAD_BYTES before the place where reading stopped. So a log that was renamed goes on where it was, one that was
emptied or overwritten starts over, and a copy of a log that is gone (as copytruncate makes one, or gzip) gives only
what had not been read. Text grows by lines; what is packed, an archive, UTF-16 or one JSON document is read whole, once
two looks in a row find it unchanged, and of it too only the lines that had not been given.

What cannot be told apart: a log that between two looks was overwritten with text which repeats both of those places
goes on where it was; a log that between two looks came and went, or of which no copy is left beside it, is not read.
"""

import codecs
import glob
import hashlib
import io
import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from features import evtx
from features.files import _DOCUMENT, CHUNK_BYTES, LINE_BYTES, members
from features.lines import lines_of
from features.positions import Position, Positions
from features.unpacking import _EMPTY_ZIP, _GZIP, _ZIP, _ZSTD, Blocks, Damaged, contents

#: Bytes at the start of a log, and before the place where reading stopped, by which it is known again.
HEAD_BYTES = 1024
#: Logs whose files are held open from look to look, so that what is written to one that is moved or deleted is read.
OPEN_LOGS = 256
#: Looks without a new line after which a log that was moved out of what is followed, or deleted, is let go.
QUIET_LOOKS = 60
#: Looks during which the copy of a log that is gone is sought beside it, and such logs that are remembered.
SEEK_LOOKS, GONE_LOGS = 5, 1000

_WHOLE = (_GZIP, _ZSTD, _ZIP, _EMPTY_ZIP, evtx.SIGNATURE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_LINES = pl.DataFrame(schema={"line": pl.Int64, "text": pl.String, "kind": pl.UInt8})
_NO_NOTES: Mapping["Log", Any] = MappingProxyType({})

#: Which log, and which member of it, as long as the same Follower follows it; no two logs share one.
Log = tuple[int, str | None]
_Identity = tuple[int, int]
_Stamp = tuple[int, int]
_NO_INODE = 0


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


@dataclass(frozen=True)
class _Sight:
    """A file as one look found it; `place` is None for one that only its open file still leads to."""

    place: str | None
    identity: _Identity
    size: int
    changed: int
    in_scope: bool = True
    is_deleted: bool = False

    @property
    def stamp(self) -> _Stamp:
        return self.size, self.changed

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.changed / 1e9, UTC)


@dataclass
class _Followed:
    """A log that is followed: the number it goes by, how far it was read, and how the last look found it."""

    number: int
    position: Position
    sight: _Sight
    file: io.FileIO | None = None
    seen: _Stamp | None = None
    quiet: int = 0

    def opened(self) -> io.FileIO:
        """Its file, held open from now on. Raises OSError."""
        if self.file is None:
            self.file = _opened(self.sight)
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
        self._logs: dict[_Identity, _Followed] = {}
        self._gone = [(position, 0) for position in kept.logs]
        self._unsettled: dict[_Identity, _Stamp] = {}
        self._unreadable: set[_Identity] = set()
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

    def _sights(self) -> dict[_Identity, _Sight]:
        """Every file in scope by its identity, so that one with two names is seen once."""
        apart = {sight.identity for path in self._apart if (sight := _seen_at(path))}
        found: dict[_Identity, _Sight] = {}
        for file in itertools.chain.from_iterable(map(_files, self._paths)):
            sight = _seen_at(file)
            if sight and sight.identity not in apart:
                found.setdefault(sight.identity, sight)
        return found

    def _part(self, sights: Mapping[_Identity, _Sight]) -> Iterator[Appended]:
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

    def _welcome(self, sights: Mapping[_Identity, _Sight], settling: Mapping[_Identity, _Stamp]) -> Iterator[Appended]:
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

    def _strange(self, sights: Iterable[_Sight]) -> list[_Sight]:
        return [sight for sight in sights if sight.identity not in self._logs]

    def _reclaim(self, sights: Iterable[_Sight]) -> None:
        """Go on with files that are back, or were there when an earlier run stopped."""
        waiting = {position.identity: position for position, _ in self._gone if position.offset}
        back: set[_Identity] = set()
        for sight in sorted(self._strange(sights), key=lambda sight: sight.changed):
            if position := waiting.get(sight.identity):
                with suppress(OSError), _opened(sight) as file:
                    if _is_read(file, sight, position):
                        self._follow(sight, position)
                        back.add(sight.identity)
        self._gone = [entry for entry in self._gone if entry[0].identity not in back]

    def _beside(self, sights: Mapping[_Identity, _Sight]) -> Iterator[_Sight]:
        """Files out of scope that may hold what was not read of logs that went lately."""
        recent = [position for position, look in self._gone if self._looks - look < SEEK_LOOKS]
        identities = {position.identity for position in recent}
        for folder, sources in _by_folder(position.source for position in recent).items():
            for file in glob.iglob(os.path.join(glob.escape(folder), "*")):
                sight = _seen_at(file)
                is_near = sight and (sight.identity in identities or any(_related(file, source) for source in sources))
                if sight and is_near and sight.identity not in sights:
                    yield replace(sight, in_scope=False)

    def _heritage(self, sight: _Sight, settling: Mapping[_Identity, _Stamp]) -> tuple[Position | None, bool]:
        """The position of the gone log that this file is a copy of, if it is, and whether it is to be read whole."""
        with _opened(sight) as file:
            is_whole = _is_whole(file)
            if is_whole and settling.get(sight.identity) != sight.stamp:
                self._unsettled[sight.identity] = sight.stamp
                return None, is_whole
            for entry in sorted(self._gone, key=lambda entry: not entry[0].offset):
                if _is_copy(file, sight, entry[0], is_whole):
                    self._gone.remove(entry)
                    return _moved(entry[0], sight, is_whole), is_whole
            return None, is_whole

    def _follow(self, sight: _Sight, position: Position) -> None:
        self._logs[sight.identity] = _Followed(next(self._numbers), position, sight)

    def _refused(self, sight: _Sight, error: OSError) -> Iterator[Appended]:
        """Say once that a file cannot be read; it is tried again with each look."""
        if sight.in_scope and sight.identity not in self._unreadable:
            self._unreadable.add(sight.identity)
            reason = f"cannot be read ({error.strerror}); make it readable for this user"
            yield Appended((next(self._numbers), None), str(sight.place), _NO_LINES, sight.at, damage=reason)

    # What is in them

    def _is_whole(self, log: _Followed) -> bool:
        """Whether to read it whole; decided by its first bytes until lines of it were given."""
        if log.position.line == 0 and log.position.offset == 0 and log.sight.size and not log.position.is_whole:
            log.position = replace(log.position, is_whole=_is_whole(log.opened()))
        return log.position.is_whole

    def _grown(self, log: _Followed) -> Iterator[Appended]:
        """Its new whole lines, each frame as soon as it is read; none that was overwritten while it was read."""
        if log.seen == log.sight.stamp:
            return
        file = log.opened()
        for lines, position in _grown(file, log.position, log.sight.size):
            head, tail = _prints(file, position.offset)
            if not _is_read(file, log.sight, log.position):
                return
            log.position, log.quiet = replace(position, head=head, tail=tail), 0
            if lines.height:
                yield Appended((log.number, None), position.source, lines, log.sight.at, log.position.note)
        log.seen = log.sight.stamp

    def _whole(self, log: _Followed, settling: Mapping[_Identity, _Stamp]) -> Iterator[Appended]:
        """Its lines that were not given, if it is new or has grown and does not grow any more."""
        log.close()
        position, place = log.position, log.sight.place
        if place is None or (position.is_finished and position.offset == log.sight.size):
            log.seen = log.sight.stamp
            return
        if log.seen is not None and settling.get(log.sight.identity) != log.sight.stamp:
            self._unsettled[log.sight.identity] = log.sight.stamp
            return
        with _opened(log.sight) as file:
            head, tail = _prints(file, log.sight.size)
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
                yield Appended(key, source, _NO_LINES, log.sight.at, log.position.note, str(damage))

    def _from_start(self, log: _Followed, member: str | None) -> Iterator[pl.DataFrame]:
        if not log.position.is_whole:
            start = Position(log.position.source, *log.sight.identity)
            yield from (lines for lines, _ in _grown(log.opened(), start, log.position.offset) if lines.height)
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
        rest = b"" if position.is_whole else _read_at(log.opened(), position.offset, LINE_BYTES)
        if rest and not position.is_inside_line:
            offset = position.offset + len(rest)
            head, tail = _prints(log.opened(), offset)
            log.position = replace(position, offset=offset, line=position.line + 1, head=head, tail=tail)
            lines = lines_of(rest, position.line)
            yield Appended((log.number, None), position.source, lines, log.sight.at, position.note)


# Files


def _files(path: str) -> Iterator[str]:
    """The files that a path means now: itself, all below a folder, or all that match a glob."""
    if os.path.isdir(path):
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (os.path.join(folder, name) for name in sorted(names))
    elif os.path.exists(path) or not glob.has_magic(path):
        yield path
    else:
        yield from itertools.chain.from_iterable(map(_files, sorted(glob.glob(path, recursive=True))))


def _seen_at(place: str) -> _Sight | None:
    """A regular file, if there is one."""
    try:
        found = os.stat(place)
    except OSError:
        return None
    is_file = stat.S_ISREG(found.st_mode)
    return _Sight(place, (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns) if is_file else None


def _seen_open(log: _Followed) -> _Sight | None:
    """A file that was moved out of scope or deleted, if it is held open or still where it was found."""
    if log.file is not None:
        found = os.fstat(log.file.fileno())
        return _Sight(None, log.sight.identity, found.st_size, found.st_mtime_ns, False, found.st_nlink == 0)
    sight = _seen_at(log.sight.place) if log.sight.place and not log.sight.in_scope else None
    return replace(sight, in_scope=False) if sight and sight.identity == log.sight.identity else None


def _opened(sight: _Sight) -> io.FileIO:
    """The file that was seen, unbuffered, so that what is read is what is there; FileNotFoundError if it has gone."""
    file = io.FileIO(str(sight.place))
    found = os.fstat(file.fileno())
    if (found.st_dev, found.st_ino) != sight.identity:
        file.close()
        raise FileNotFoundError(f"{sight.place}: another file has taken its place")
    return file


def _by_folder(files: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in files:
        found.setdefault(os.path.dirname(file), set()).add(file)
    return found


def _related(file: str, other: str) -> bool:
    """Whether a file has a name that rotation would give it.

    >>> _related("app.log.1.gz", "app.log"), _related("app-20240101.log", "app.log"), _related("db.log", "app.log")
    (True, True, False)
    """
    return os.path.basename(file).startswith(os.path.basename(other).lstrip(".").partition(".")[0])


# Knowing again


def _is_intact(log: _Followed, sight: _Sight) -> bool:
    """Whether what was read is still there; a file that is not held open and looks unchanged is not opened for it."""
    if log.file is not None:
        return _is_read(log.file, sight, log.position)
    if log.seen == sight.stamp:
        return True
    with _opened(sight) as file:
        return _is_read(file, sight, log.position)


def _is_read(file: io.FileIO, sight: _Sight, position: Position) -> bool:
    """Whether the file begins with what was read."""
    return sight.size >= position.offset and _prints(file, position.offset) == (position.head, position.tail)


def _is_copy(file: io.FileIO, sight: _Sight, position: Position, is_whole: bool) -> bool:
    """Whether this file is what became of a gone log, by its name and by its content, unpacked if it was packed.

    Little text proves little: a short log at the place of another is a new one, however it begins. Of a log of which
    nothing was read only its inode tells, which may have gone to another since.
    """
    if not position.offset:
        return sight.identity == position.identity
    is_packed = is_whole and not position.is_whole
    is_proof = is_packed or position.offset >= HEAD_BYTES or sight.place != position.source
    is_moved = is_proof and sight.place is not None and _related(sight.place, position.source)
    if not (is_moved or sight.identity[1] == position.inode):
        return False
    if is_packed:
        return _unpacked_prints(Path(str(sight.place)), position.offset) == (position.head, position.tail)
    return is_whole == position.is_whole and _is_read(file, sight, position)


def _moved(position: Position, sight: _Sight, is_whole: bool) -> Position:
    """The position in a copy; in one that was packed only the number of lines still tells how far it was read."""
    moved = replace(position, device=sight.identity[0], inode=sight.identity[1])
    is_packed = is_whole and not position.is_whole
    return replace(moved, is_whole=True, offset=0, head="", tail="") if is_packed else moved


def _prints(file: io.FileIO, offset: int) -> tuple[str, str]:
    size = min(offset, HEAD_BYTES)
    return _print(_read_at(file, 0, size)), _print(_read_at(file, offset - size, size))


def _unpacked_prints(place: Path, offset: int) -> tuple[str, str] | None:
    """The prints of the only log in a packed file; none for an archive, or if it has not so many bytes."""
    with suppress(Damaged):
        member, blocks = next(contents(place), ("", iter(())))
        return None if member is not None else _prints_of(blocks, offset)
    return None


def _prints_of(blocks: Blocks, offset: int) -> tuple[str, str] | None:
    head = tail = b""
    for block in blocks:
        part = block[:offset]
        offset -= len(part)
        head += part[: HEAD_BYTES - len(head)]
        tail = (tail + part)[-HEAD_BYTES:]
        if not offset:
            return _print(head), _print(tail)
    return None


def _print(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest() if content else ""


def _is_whole(file: io.FileIO) -> bool:
    """Whether a file by its first bytes is no text that grows by lines."""
    start = _read_at(file, 0, HEAD_BYTES)
    return start.startswith(_WHOLE) or start[257:262] == b"ustar" or _DOCUMENT.match(start) is not None


# Lines


def _read_at(file: io.FileIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _grown(file: io.FileIO, position: Position, size: int) -> Iterator[tuple[pl.DataFrame, Position]]:
    """Frames of whole lines from `position` up to the byte `size`, and the position behind each."""
    while position.offset < size:
        block = _read_at(file, position.offset, min(CHUNK_BYTES, size - position.offset))
        chunk, step, is_inside_line = _whole_lines(block, position.is_inside_line)
        if not step:
            return
        text = chunk.removeprefix(codecs.BOM_UTF8) if position.offset == 0 else chunk
        lines = lines_of(text, position.line) if chunk else _NO_LINES
        offset, line = position.offset + step, position.line + lines.height
        position = replace(position, offset=offset, line=line, is_inside_line=is_inside_line)
        yield lines, position


def _whole_lines(block: bytes, is_inside_line: bool) -> tuple[bytes, int, bool]:
    """What of a block is whole lines, how many bytes to step on, and whether that is within a line too long to hold."""
    if is_inside_line:
        end = block.find(b"\n") + 1
        return b"", end or len(block), not end
    end = block.rfind(b"\n") + 1
    if not end and len(block) > LINE_BYTES:
        return block[: LINE_BYTES + 1], len(block), True
    return block[:end], end, False
