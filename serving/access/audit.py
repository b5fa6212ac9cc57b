"""The audit: every decision in a chain of hashes with a signed head, so that no line can be changed or taken away.

Each line is canonical JSON, ASCII alone, and holds the hash of the line before and its own. The head, beside the file,
holds the last line, where it begins and our signature. It is written before the line itself, so that a line which a
crash cut short is completed from there. Who can sign could write another audit: give the marks that `append` returns
to somebody else, and `verify` against one.

What is decided takes two lines: that it is begun, before it is done, and behind it how it ended (see `ended`). So
nothing is done that the audit has not heard of, and what could not be written is not done.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from features.mistakes import AskedWrong, FoundWrong
from features.whole_files import sync
from serving.access.audit_lines import (
    LINE_BYTES,
    LONGEST,
    MINE,
    START,
    AuditRefused,
    Entry,
    Head,
    Mark,
    Outcome,
    read_head,
    spelled,
    without_head,
    write_head,
)

#: Seconds to wait for whoever else writes, and between two looks whether it is done.
PATIENCE, _LOOK = 5.0, 0.002


class AuditBusy(FoundWrong):
    """Another process writes the audit, and does not come to an end."""


@dataclass(frozen=True)
class Audit:
    """The audit at `path`, whose heads are signed with the private key at `key`, which is made on first use.

    Any thread of any process may append: each has the file to itself for as long as one entry takes, and waits
    `patience` seconds for its turn.
    """

    path: Path
    key: Path
    patience: float = PATIENCE

    def append(self, entry: Entry) -> Mark:
        """Keep an entry; it is safely on disk when this returns.

        Looks at the end alone; `verify` looks at all of it. Raises ValueError for a text that is too long or no text;
        AuditRefused where the end is not as it was written, AuditBusy, KeyRefused where the key is not good; OSError
        where the disk fails, and then the entry is kept or not.
        """
        entry = msgspec.structs.replace(entry, at=entry.at.astimezone(UTC))
        _check(entry)
        with self._turn() as file:
            before = self._recovered(file)
            digest, line = spelled(entry, before.hash)
            head = Head(before.lines + 1, os.fstat(file.fileno()).st_size, line.decode())
            write_head(self.path, self.key, head)
            _write(file, head.end)
            return Mark(head.lines, digest)

    def mark(self) -> Mark:
        """How far it goes, once its last line is whole. Raises what `append` does."""
        with self._turn() as file:
            return self._recovered(file)

    @contextmanager
    def _turn(self) -> Iterator[IO[bytes]]:
        """The file, while nobody else writes it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        with open(os.open(self.path, flags, MINE), "r+b", buffering=0) as file:
            deadline = time.monotonic() + self.patience
            while not _locked(file):
                if time.monotonic() > deadline:
                    raise AuditBusy(f"{self.path}: another process holds it: find out which, and try again")
                time.sleep(_LOOK)
            yield file

    def _recovered(self, file: IO[bytes]) -> Mark:
        """How far the head says it goes, once its line is whole."""
        head = read_head(self.path, self.key)
        size = os.fstat(file.fileno()).st_size
        if head is None:
            if size:
                raise without_head(self.path)
            return START
        file.seek(head.start)
        begun = file.read(LINE_BYTES)
        if size < head.start or not head.end.startswith(begun):
            why = f"cut off before here, or not what was signed as the last of {head.lines}"
            raise AuditRefused(self.path, head.lines, why)
        if missing := head.end[len(begun) :]:
            _write(file, missing)
        return head.mark


def ended(begun: Entry, mark: Mark, outcome: Outcome, why: str, now: datetime) -> Entry:
    """How what was begun at a mark ended, and why or where."""
    return msgspec.structs.replace(begun, at=now, outcome=outcome, reason=f"line {mark.lines}: {why}"[:LONGEST])


@contextmanager
def written_down(audit: Audit, begun: Entry, now: Callable[[], datetime]) -> Iterator[Callable[[str], None]]:
    """What is done in this context is in the audit; it gets a function that is told what came of it, for the last line.

    Raises what `append` does: before anything is done, or behind what was done, if only the last line cannot be kept.
    """
    mark, told = audit.append(begun), [""]

    def tell(what: str) -> None:
        told[0] = what

    try:
        yield tell
    except (AskedWrong, FoundWrong, OSError) as error:
        audit.append(ended(begun, mark, "failed", str(error), now()))
        raise
    audit.append(ended(begun, mark, "done", told[0], now()))


def _write(file: IO[bytes], content: bytes) -> None:
    while content:
        content = content[file.write(content) :]
    sync(file)


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check(entry: Entry) -> None:
    """Raise ValueError, and name the field, unless the entry can be read again."""
    try:
        msgspec.json.decode(msgspec.json.encode(entry), type=Entry)
    except msgspec.ValidationError as error:
        raise ValueError(f"audit entry: {error}") from error
