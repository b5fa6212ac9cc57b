"""Files as one look finds them, and what tells that a file is, or is a copy of, one that was read before."""

import codecs
import glob
import hashlib
import io
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from features import evtx
from features.files import _DOCUMENT
from features.parquet import MAGIC as PARQUET
from features.positions import Position
from features.unpacking import _EMPTY_ZIP, _GZIP, _ZIP, _ZSTD, Blocks, Damaged, contents

#: Bytes at the start of a log, and before the place where reading stopped, by which it is known again.
HEAD_BYTES = 1024

_WHOLE = (_GZIP, _ZSTD, _ZIP, _EMPTY_ZIP, evtx.SIGNATURE, PARQUET, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
Identity = tuple[int, int]
Stamp = tuple[int, int]


@dataclass(frozen=True)
class Sight:
    """A file as one look found it; `place` is None for one that only its open file still leads to."""

    place: str | None
    identity: Identity
    size: int
    changed: int
    in_scope: bool = True
    is_deleted: bool = False

    @property
    def stamp(self) -> Stamp:
        """Size and time of the last change: while they are the same, so is the file."""
        return self.size, self.changed

    @property
    def at(self) -> datetime:
        """When it was last changed."""
        return datetime.fromtimestamp(self.changed / 1e9, UTC)


def files_at(path: str) -> Iterator[str]:
    """The files that a path means now: itself, all below a folder, or all that match a glob."""
    if os.path.isdir(path):
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (os.path.join(folder, name) for name in sorted(names))
    elif os.path.exists(path) or not glob.has_magic(path):
        yield path
    else:
        yield from itertools.chain.from_iterable(map(files_at, sorted(glob.glob(path, recursive=True))))


def seen_at(place: str) -> Sight | None:
    """A regular file, if there is one."""
    try:
        found = os.stat(place)
    except OSError:
        return None
    is_file = stat.S_ISREG(found.st_mode)
    return Sight(place, (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns) if is_file else None


def opened(sight: Sight) -> io.FileIO:
    """The file that was seen, unbuffered, so that what is read is what is there; FileNotFoundError if it has gone."""
    file = io.FileIO(str(sight.place))
    found = os.fstat(file.fileno())
    if (found.st_dev, found.st_ino) != sight.identity:
        file.close()
        raise FileNotFoundError(f"{sight.place}: another file has taken its place")
    return file


# Knowing again


def is_read(file: io.FileIO, sight: Sight, position: Position) -> bool:
    """Whether the file begins with what was read."""
    return sight.size >= position.offset and prints(file, position.offset) == (position.head, position.tail)


def is_copy(file: io.FileIO, sight: Sight, position: Position, is_whole: bool) -> bool:
    """Whether this file is what became of a gone log, by its name and by its content, unpacked if it was packed.

    Little text proves little: a short log at the place of another is a new one, however it begins. Of a log of which
    nothing was read only its inode tells, which may have gone to another since.
    """
    if not position.offset:
        return sight.identity == position.identity
    is_packed = is_whole and not position.is_whole
    is_proof = is_packed or position.offset >= HEAD_BYTES or sight.place != position.source
    is_moved = is_proof and sight.place is not None and is_related(sight.place, position.source)
    if not (is_moved or sight.identity[1] == position.inode):
        return False
    if is_packed:
        return _unpacked_prints(Path(str(sight.place)), position.offset) == (position.head, position.tail)
    return is_whole == position.is_whole and is_read(file, sight, position)


def moved(position: Position, sight: Sight, is_whole: bool) -> Position:
    """The position in a copy; in one that was packed only the number of lines still tells how far it was read."""
    moved = replace(position, device=sight.identity[0], inode=sight.identity[1])
    is_packed = is_whole and not position.is_whole
    return replace(moved, is_whole=True, offset=0, head="", tail="") if is_packed else moved


def prints(file: io.FileIO, offset: int) -> tuple[str, str]:
    """Hashes of the first HEAD_BYTES of a file and of the last ones before `offset`, or of all there are."""
    size = min(offset, HEAD_BYTES)
    return _print(read_at(file, 0, size)), _print(read_at(file, offset - size, size))


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


def is_read_whole(file: io.FileIO) -> bool:
    """Whether a file by its first bytes is no text that grows by lines."""
    start = read_at(file, 0, HEAD_BYTES)
    return start.startswith(_WHOLE) or start[257:262] == b"ustar" or _DOCUMENT.match(start) is not None


def read_at(file: io.FileIO, offset: int, size: int) -> bytes:
    """Up to `size` bytes from `offset` on."""
    file.seek(offset)
    return file.read(size)


def is_related(file: str, other: str) -> bool:
    """Whether a file has a name that rotation would give it.

    >>> [is_related(file, "app.log") for file in ("app.log.1.gz", "app-20240101.log", "db.log")]
    [True, True, False]
    """
    return os.path.basename(file).startswith(os.path.basename(other).lstrip(".").partition(".")[0])
