"""A disk that loses power: what was not synced is lost, or half of it, in sectors of 512 bytes and in any order.

SQLite writes through it as a virtual file system. Names are safe once a file was synced, and deleting is at once.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from serving.stream.log_file import Connect, Connection, Value

SECTOR = 512


class File:
    """A file's bytes as last synced, or None if it never was, and what was done to it since."""

    def __init__(self) -> None:
        self.synced: bytes | None = None
        self.done: list[tuple[int, bytes | None]] = []

    def after_cut(self, chance: np.random.Generator, share: float) -> bytes | None:
        """What a power cut may leave of it, if each sector written since has that chance."""
        if self.synced is None and chance.random() > share:
            return None
        return applied(self.synced or b"", [one for one in sectors(self.done) if chance.random() < share])


def sectors(done: Sequence[tuple[int, bytes | None]]) -> Iterator[tuple[int, bytes | None]]:
    for at, data in done:
        if data is None:
            yield at, None
        else:
            yield from ((at + n, data[n : n + SECTOR]) for n in range(0, len(data), SECTOR))


def applied(content: bytes, done: Sequence[tuple[int, bytes | None]]) -> bytes:
    """Writes, and cuts to a length where there are no bytes."""
    image = bytearray(content)
    for at, data in done:
        if data is None:
            del image[at:]
        else:
            image.extend(bytes(max(at - len(image), 0)))
            image[at : at + len(data)] = data
    return bytes(image)


class Disk(apsw.VFS):
    """`before` hears of each write, sync and cut before it is done, and may raise what the disk then says."""

    def __init__(self, name: str, before: Callable[[str], None]) -> None:
        super().__init__(name, "")
        self.files: dict[str, File] = {}
        self.before, self.vfs_name = before, name

    def xOpen(self, name: Any, flags: list[int]) -> "DiskFile":  # noqa: N802  # SQLite's name
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  # SQLite's name
        super().xDelete(filename, syncdir)
        self.files.pop(Path(filename).name, None)

    def power_cut(self, into: Path, chance: np.random.Generator) -> None:
        """Put what a power cut at this moment may leave into a folder."""
        share = float(chance.choice((0.0, 0.3, 0.7)))
        for name, file in self.files.items():
            if (content := file.after_cut(chance, share)) is not None:
                (into / name).write_bytes(content)

    def connect(self, replaced: tuple[str, str] = ("", "")) -> Connect:
        """Connections through this disk, one text in their statements replaced by another."""

        def connect(path: Path, is_writer: bool) -> Connection:
            how = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if is_writer else apsw.SQLITE_OPEN_READONLY
            connection = apsw.Connection(str(path), flags=how, vfs=self.vfs_name)
            connection.execute("PRAGMA wal_autocheckpoint=250")
            return Translated(connection, replaced)

        return connect


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._file = disk.files.setdefault(Path(path).name, File())

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name
        self._disk.before("write")
        super().xWrite(data, offset)
        self._file.done.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # SQLite's name
        self._disk.before("truncate")
        super().xTruncate(newsize)
        self._file.done.append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
        self._disk.before("sync")
        super().xSync(flags)
        self._file.synced = applied(self._file.synced or b"", self._file.done)
        self._file.done = []


class Rows:
    def __init__(self, rows: list[Any]) -> None:
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


@contextmanager
def translated() -> Iterator[None]:
    """apsw's errors as sqlite3's."""
    try:
        yield
    except apsw.Error as error:
        told = sqlite3.OperationalError(str(error))
        told.sqlite_errorcode = getattr(error, "extendedresult")  # noqa: B009  # its stubs forget it
        raise told from error


class Translated:
    """A connection of apsw that raises sqlite3's errors."""

    def __init__(self, connection: apsw.Connection, replaced: tuple[str, str]) -> None:
        self._connection, self._replaced = connection, replaced

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, values: Sequence[Value] = (), /) -> Rows:
        with translated():
            return Rows(self._connection.execute(sql.replace(*self._replaced), tuple(values)).fetchall())

    def executemany(self, sql: str, rows: Sequence[Sequence[Value]], /) -> object:
        with translated():
            return self._connection.executemany(sql, [tuple(row) for row in rows])

    def close(self) -> None:
        self._connection.close()
