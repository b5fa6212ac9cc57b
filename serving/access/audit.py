"""The audit: every decision in a chain of hashes with a signed head, so that no line can be changed or taken away.

Each line is canonical JSON, ASCII alone, and holds the hash of the line before and its own. The head, beside the file,
holds the last line, where it begins and our signature. It is written before the line itself, so that a line which a
crash cut short is completed from there. Who can sign could write another audit: give the marks that `append` returns
to somebody else, and `verify` against one.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import IO, Annotated, Any, Literal

import msgspec

from features.mistakes import FoundWrong
from features.whole_files import sync, write_whole
from models import signing
from models.home import Home
from models.signing import Signature, SignatureRefused, sign

_PURPOSE = "audit"
_LONGEST = 2048  # letters of a text
_LINE, _HEAD = 2**18, 2**20  # bytes, more than any line or head has
_MINE = 0o600
_BEGINNING = "0" * 64

_Text = Annotated[str, msgspec.Meta(max_length=_LONGEST)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class AuditRefused(FoundWrong):
    """The audit is not as it was written; the text names the file, the first broken line (so does `line`) and why."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}, line {line}: {why}: find out who wrote there, and bring back a copy")
        self.line = line


class AuditBusy(FoundWrong):
    """Another process writes the audit."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who did or was refused what, when, and why; texts have at most 2,048 letters."""

    at: _Time
    principal: _Text
    role: _Text
    tenant: _Text
    action: _Text
    target: _Text
    outcome: Literal["done", "refused", "failed"]
    reason: _Text
    idempotency_key: _Text | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an audit goes: its number of lines, and the hash of the last, which stands for all before it."""

    lines: int
    hash: str


#: Where an audit begins.
START = Mark(0, _BEGINNING)


def audit_path(home: Home) -> Path:
    """The file of the audit."""
    return home.var / "audit.jsonl"


def audit_key(home: Home) -> Path:
    """The key that heads are signed with: not that of releases, which a server need not have."""
    return home.var / "keys" / "audit.key"


class Audit:
    """The one writer of the audit at `path`; see `writing`. Any thread may append."""

    def __init__(self, path: Path, key: Path, file: IO[bytes]) -> None:
        self._path, self._key, self._file = path, key, file
        self._turn = Lock()
        self._mark, self._size, self._is_sure = START, 0, False
        self._recover()

    @property
    def mark(self) -> Mark:
        """How far it goes."""
        return self._mark

    def append(self, entry: Entry) -> Mark:
        """Keep an entry; it is safely on disk when this returns.

        Raises ValueError for a text that is too long or no text; OSError where the disk fails, and then the entry is
        kept or not.
        """
        entry = msgspec.structs.replace(entry, at=entry.at.astimezone(UTC))
        _check(entry)
        with self._turn:
            if not self._is_sure:
                self._recover()
            self._is_sure = False
            digest, line = _spelled(entry, self._mark.hash)
            head = _Head(self._mark.lines + 1, self._size, line.decode())
            _write_head(self._path, self._key, head)
            self._write(_ends(head))
            self._mark, self._is_sure = Mark(head.lines, digest), True
            return self._mark

    def _write(self, content: bytes) -> None:
        while content:
            written = self._file.write(content)
            self._size += written
            content = content[written:]
        sync(self._file)

    def _recover(self) -> None:
        """Go on from the head, once its line is whole."""
        head = _read_head(self._path, self._key)
        self._size = os.fstat(self._file.fileno()).st_size
        if head is not None:
            self._file.seek(head.start)
            begun = self._file.read(_LINE)
            _check_end(self._path, head, begun, self._size)
            self._write(_ends(head)[len(begun) :])
        elif self._size:
            raise AuditRefused(self._path, 1, f"there is no head, {_head_path(self._path)}, to tell how far it goes")
        self._mark, self._is_sure = head.mark if head else START, True


@contextmanager
def writing(path: Path, key: Path) -> Iterator[Audit]:
    """The audit at `path`, begun or gone on with; its heads are signed with the private key at `key`.

    Looks at its end alone; `verify` looks at all of it. Raises AuditRefused where the end is not as it was written,
    AuditBusy while another process writes, KeyRefused where the key is not good.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, _MINE), "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AuditBusy(f"{path}: another process writes there: stop it, or have it do this") from error
        yield Audit(path, key, file)


def verify(path: Path, key: Path, held: Mark = START) -> Mark:
    """How far the audit at `path` goes, if all of it is as it was written; somebody may be writing meanwhile.

    `held` is a mark from before that was kept elsewhere. Raises AuditRefused with the first line that is changed, cut,
    moved or not ours; KeyRefused where the public key at `key` is not good.
    """
    head = _read_head(path, key)
    chain = _Chain(path, held)
    while True:
        begun = chain.read_on()
        before, head = head, _read_head(path, key)
        if head == before:
            break
    if head is None and (chain.mark != START or begun):
        raise AuditRefused(path, 1, f"there is no head, {_head_path(path)}, to tell how far it goes")
    if head is not None:
        chain.check_head(head, begun)
    chain.check_held()
    return chain.mark


class _Line(Entry, frozen=True, forbid_unknown_fields=True, kw_only=True):
    prev: str
    hash: str


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many lines there are, at which byte the last begins, and that line itself."""

    lines: int
    start: int
    last: str

    @property
    def mark(self) -> Mark:
        return Mark(self.lines, msgspec.json.decode(self.last, type=_Line).hash)


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    head: _Head
    signature: Signature


class _Chain:
    """The lines of the file at `path` as far as they were read; each is checked as it comes."""

    def __init__(self, path: Path, held: Mark) -> None:
        self.mark = START
        self._path, self._held = path, held
        self._size, self._last = 0, b""

    def read_on(self) -> bytes:
        """Read to the end; the answer is the beginning of a line that is not whole yet."""
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            file.seek(self._size)
            while (line := file.readline(_LINE)).endswith(b"\n"):
                self._follow(line[:-1])
        if len(line) == _LINE:
            raise self._refused("expected an entry, which is shorter", beyond=1)
        return line

    def check_head(self, head: _Head, begun: bytes) -> None:
        """Raise AuditRefused unless the lines end as the head says, or lack what is left to write of the last."""
        follows = msgspec.json.decode(head.last, type=_Line).prev == self.mark.hash
        if head.lines == self.mark.lines + 1 and follows and _ends(head).startswith(begun):
            return
        if self.mark.lines < head.lines:
            raise self._refused(f"cut off from here on; {head.lines} lines were signed", beyond=1)
        if self.mark.lines > head.lines or begun:
            raise AuditRefused(self._path, head.lines + 1, f"not ours; {head.lines} lines were signed")
        if self._last != head.last.encode():
            raise self._refused("not the line that was signed")

    def check_held(self) -> None:
        """Raise AuditRefused if the lines end before the mark that is held."""
        if self.mark.lines < self._held.lines:
            raise self._refused(f"cut off from here on; the mark of line {self._held.lines} is held", beyond=1)

    def _follow(self, line: bytes) -> None:
        found = self._decoded(line)
        if _spelled(found, found.prev) != (found.hash, line):
            raise self._refused("it was changed", beyond=1)
        if found.prev != self.mark.hash:
            raise self._refused("does not follow the line before: one was changed, moved or taken out", beyond=1)
        self.mark, self._last = Mark(self.mark.lines + 1, found.hash), line
        self._size += len(line) + 1
        if self.mark.lines == self._held.lines and self.mark != self._held:
            raise self._refused("not the line whose mark is held")

    def _decoded(self, line: bytes) -> _Line:
        try:
            return msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._refused(f"expected an entry: {error}", beyond=1) from error

    def _refused(self, why: str, beyond: int = 0) -> AuditRefused:
        return AuditRefused(self._path, self.mark.lines + beyond, why)


def _check(entry: Entry) -> None:
    """Raise ValueError, and name the field, unless the entry can be read again."""
    try:
        msgspec.json.decode(msgspec.json.encode(entry), type=Entry)
    except msgspec.ValidationError as error:
        raise ValueError(f"audit entry: {error}") from error


def _spelled(entry: Entry, prev: str) -> tuple[str, bytes]:
    """The hash and the line of an entry that follows the line with the hash `prev`."""
    told: dict[str, Any] = {name: msgspec.to_builtins(getattr(entry, name)) for name in Entry.__struct_fields__}
    told["prev"] = prev
    digest = hashlib.sha256(_canonical(told)).hexdigest()
    return digest, _canonical(told | {"hash": digest})


def _canonical(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _head_path(path: Path) -> Path:
    return path.with_suffix(".head")


def _ends(head: _Head) -> bytes:
    """How a file with this head ends."""
    return head.last.encode() + b"\n"


def _check_end(path: Path, head: _Head, begun: bytes, size: int) -> None:
    """Raise AuditRefused unless `begun`, all that follows where the last line begins, is that line or its beginning."""
    if size < head.start or not _ends(head).startswith(begun):
        raise AuditRefused(path, head.lines, f"cut off before here, or not what was signed as the last of {head.lines}")


def _read_head(path: Path, key: Path) -> _Head | None:
    """The head of the audit at `path` if we signed it, None if there is none."""
    where = _head_path(path)
    try:
        with where.open("rb") as file:
            signed = msgspec.json.decode(file.read(_HEAD), type=_Signed)
        signing.verify(msgspec.json.encode(signed.head), _PURPOSE, signed.signature, key)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, SignatureRefused) as error:
        raise AuditRefused(where, 1, str(error)) from error
    return signed.head


def _write_head(path: Path, key: Path, head: _Head) -> None:
    signed = _Signed(head, sign(msgspec.json.encode(head), _PURPOSE, key))

    def write(file: IO[bytes]) -> None:
        os.fchmod(file.fileno(), _MINE)
        file.write(msgspec.json.encode(signed) + b"\n")

    write_whole(_head_path(path), write)
