"""The SQLite file of an event log: its tables, how it is opened, and what its errors mean."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from serving.stream.lake import Segment
from serving.stream.log_entries import START, DamagedLog, LogUnwritable, NoLog, Place

#: Keys are kept on their own, because they outlive their entries here; `seal` is a digest of the row.
TABLES = (
    """CREATE TABLE entries (position INTEGER PRIMARY KEY, first INTEGER NOT NULL, events INTEGER NOT NULL,
    kind TEXT NOT NULL, accepted INTEGER NOT NULL, principal TEXT NOT NULL, tenant TEXT NOT NULL, key TEXT,
    payload BLOB NOT NULL, chain BLOB NOT NULL) STRICT""",
    """CREATE TABLE keys (tenant TEXT NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL, first INTEGER NOT NULL,
    events INTEGER NOT NULL, accepted INTEGER NOT NULL, content BLOB NOT NULL, seal BLOB NOT NULL,
    PRIMARY KEY (tenant, key)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX ages ON keys (accepted)",
    "CREATE TABLE marks (mark BLOB PRIMARY KEY) STRICT, WITHOUT ROWID",
    """CREATE TABLE segments (position INTEGER PRIMARY KEY, events INTEGER NOT NULL, chain BLOB NOT NULL,
    sha256 BLOB NOT NULL) STRICT""",
    "CREATE TABLE head (position INTEGER NOT NULL, events INTEGER NOT NULL, chain BLOB NOT NULL) STRICT",
)
#: The format, as SQLite's user_version.
FORMAT = 2

#: The primary codes of SQLite that mean "not now"; every other one, of statements that never change, means damage.
_NOT_NOW = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk did not take it",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_PERM: "this user may not write it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_BUSY: "another process has locked it",
    sqlite3.SQLITE_LOCKED: "another statement has locked it",
    sqlite3.SQLITE_NOMEM: "there is no memory for it",
}
_WAL_BYTES = 64 << 20

Value: TypeAlias = int | str | bytes | None


class Cursor(Protocol):
    """What a statement gives."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What the log asks of SQLite: no transactions of its own, and sqlite3's errors."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, values: Sequence[Value] = (), /) -> Cursor: ...
    def executemany(self, sql: str, rows: Sequence[Sequence[Value]], /) -> object: ...
    def close(self) -> None: ...


#: Opens a path, to write or only to read.
Connect: TypeAlias = Callable[[Path, bool], Connection]


def connect(path: Path, is_writer: bool) -> Connection:
    """SQLite's own connection. Raises NoLog if there is nothing to read, and sqlite3.Error."""
    if not is_writer and not path.exists():
        raise NoLog(f"{path}: no event log; start the service that writes it")
    uri = f"{path.resolve().as_uri()}?mode={'rwc' if is_writer else 'ro'}"
    return sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None, check_same_thread=False)


def prepare(connection: Connection) -> None:
    """Have a file to write be durable and have its tables; commits wait for the disk."""
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}").fetchall()
    with transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            for table in TABLES:
                connection.execute(table)
            connection.execute("INSERT INTO head VALUES (?, ?, ?)", (START.position, START.events, START.chain))
            connection.execute(f"PRAGMA user_version={FORMAT}")


@contextmanager
def transaction(connection: Connection, how: str = "IMMEDIATE") -> Iterator[None]:
    """All of it or nothing."""
    connection.execute(f"BEGIN {how}")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors as LogUnwritable or DamagedLog; mistakes in how it is called stay as they are."""
    try:
        yield
    except UnicodeDecodeError as error:  # the words of an error that names what is damaged
        raise DamagedLog(f"{path}: no whole event log; restore it from a copy") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.NotSupportedError):
            raise
        if reason := _NOT_NOW.get(getattr(error, "sqlite_errorcode", 0) & 0xFF):
            raise LogUnwritable(f"{path}: {reason} ({error}); free it and try again") from error
        raise DamagedLog(f"{path}: no whole event log ({error}); restore it from a copy") from error


def head(connection: Connection, path: Path) -> Place:
    """The place behind the last entry. Raises DamagedLog if it is none."""
    rows = connection.execute("SELECT position, events, chain FROM head").fetchall()
    if len(rows) != 1:
        raise DamagedLog(f"{path}: expected one head, found {len(rows)}; restore it from a copy")
    return Place(*rows[0])


def segments(connection: Connection) -> list[Segment]:
    """What is in the lake, in order."""
    found, before = [], START
    for position, events, chain, sha256 in connection.execute("SELECT * FROM segments ORDER BY position"):
        found.append(Segment(before, Place(position, events, chain), sha256))
        before = found[-1].last
    return found
