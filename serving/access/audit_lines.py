"""The lines of an audit, each with the hash of the one before, and the signed head that says where they end."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TypeAlias

import msgspec

from features.mistakes import AskedWrong, FoundWrong
from features.whole_files import write_whole
from models import signing
from models.home import Home
from models.signing import Signature, SignatureRefused, sign

#: Most letters of a text.
LONGEST = 2048
#: More bytes than any line has.
LINE_BYTES = 2**18
#: Nobody else reads or writes.
MINE = 0o600

_PURPOSE = "audit"
_HEAD_BYTES = 2**20
_BEGINNING = "0" * 64
_HASH = re.compile(r"[0-9a-f]{64}")

_Text = Annotated[str, msgspec.Meta(max_length=LONGEST)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]

#: What was begun was done, or failed and is not done; where neither follows, a crash came between.
Outcome: TypeAlias = Literal["begun", "done", "failed", "refused"]


class AuditRefused(FoundWrong):
    """The audit is not as it was written; the text names the file, the first broken line (so does `line`) and why."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}, line {line}: {why}: find out who wrote there, and bring back a copy")
        self.line = line


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who did or was refused what, when, and why; texts have at most 2,048 letters."""

    at: _Time
    principal: _Text
    role: _Text
    tenant: _Text
    action: _Text
    target: _Text
    outcome: Outcome
    reason: _Text
    idempotency_key: _Text | None = None


class Line(Entry, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry as it is kept, with the hash of the line before and its own."""

    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an audit goes: its number of lines, and the hash of the last, which stands for all before it."""

    lines: int
    hash: str

    def __str__(self) -> str:
        return f"{self.lines}:{self.hash}"


#: Where an audit begins.
START = Mark(0, _BEGINNING)


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many lines there are, at which byte the last begins, and that line itself."""

    lines: int
    start: int
    last: str

    @property
    def mark(self) -> Mark:
        """How far the audit goes with it."""
        return Mark(self.lines, msgspec.json.decode(self.last, type=Line).hash)

    @property
    def end(self) -> bytes:
        """How a file with this head ends."""
        return self.last.encode() + b"\n"


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    head: Head
    signature: Signature


class MarkAsked(AskedWrong):
    """What was given as a mark is none."""


def mark_of(text: str) -> Mark:
    """A mark as people write it down. Raises MarkAsked.

    >>> mark_of(str(START)) == START
    True
    """
    lines, _, digest = text.partition(":")
    if not (lines.isdecimal() and len(lines) < 16 and _HASH.fullmatch(digest)):
        raise MarkAsked(f"mark {text[:100]!r}: expected LINES:HASH, as `secmesh audit` tells it last")
    return Mark(int(lines), digest)


def audit_path(home: Home) -> Path:
    """The file of the audit."""
    return home.var / "audit.jsonl"


def audit_key(home: Home) -> Path:
    """The key that heads are signed with: not that of releases, which a server need not have."""
    return home.var / "keys" / "audit.key"


def head_path(path: Path) -> Path:
    """The file of the head of the audit at `path`."""
    return path.with_suffix(".head")


def spelled(entry: Entry, prev: str) -> tuple[str, bytes]:
    """The hash and the line of an entry that follows the line with the hash `prev`."""
    told: dict[str, Any] = {name: msgspec.to_builtins(getattr(entry, name)) for name in Entry.__struct_fields__}
    told["prev"] = prev
    digest = hashlib.sha256(_canonical(told)).hexdigest()
    return digest, _canonical(told | {"hash": digest})


def read_head(path: Path, key: Path) -> Head | None:
    """The head of the audit at `path`, None if there is none. Raises AuditRefused unless we signed it."""
    where = head_path(path)
    try:
        with where.open("rb") as file:
            signed = msgspec.json.decode(file.read(_HEAD_BYTES), type=_Signed)
        signing.verify(msgspec.json.encode(signed.head), _PURPOSE, signed.signature, key)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, SignatureRefused) as error:
        raise AuditRefused(where, 1, str(error)) from error
    return signed.head


def write_head(path: Path, key: Path, head: Head) -> None:
    """Sign a head and have it safely on disk; the key is made on first use."""
    signed = _Signed(head, sign(msgspec.json.encode(head), _PURPOSE, key))

    def write(file: IO[bytes]) -> None:
        os.fchmod(file.fileno(), MINE)
        file.write(msgspec.json.encode(signed) + b"\n")

    write_whole(head_path(path), write)


def without_head(path: Path) -> AuditRefused:
    """What is wrong where there are lines and no head."""
    return AuditRefused(path, 1, f"there is no head, {head_path(path)}, to tell how far it goes")


def _canonical(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
