"""Which releases were champion, when and why: a signed record that no move of an alias can change."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from features.mistakes import FoundWrong
from features.whole_files import write_whole
from models.home import Home
from models.signing import Signature, SignatureRefused, key_path, sign, verify

_PURPOSE = "champions"
_LARGEST = 2**24


class RecordRefused(FoundWrong):
    """The record is not as secmesh wrote it, or does not allow what was asked; the text ends with a remedy."""


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release became champion: which (and the sha256 of its manifest), when, through whom, and why."""

    number: int
    sha256: str
    at: datetime
    by: str
    reason: str
    is_rollback: bool = False


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the gate said of a release."""

    number: int
    is_taken: bool
    reason: str
    at: datetime


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every act and verdict, the latest last; `coming` is an act under way, its alias not yet known to have moved."""

    acts: tuple[Act, ...] = ()
    coming: Act | None = None
    verdicts: tuple[Verdict, ...] = ()

    @property
    def now(self) -> Act | None:
        """The act that made the champion."""
        return self.acts[-1] if self.acts else None

    @property
    def highest(self) -> int:
        """The newest release that was ever champion; 0 if none was."""
        return max((act.number for act in self.acts), default=0)

    @property
    def before(self) -> Act | None:
        """The act that rollback returns to; those it took back do not count."""
        line: list[Act] = []
        for act in self.acts:
            if act.is_rollback and len(line) > 1:
                line.pop()
            elif not line or line[-1].number != act.number:
                line.append(act)
        return line[-2] if len(line) > 1 else None

    def verdict(self, number: int) -> Verdict | None:
        """The gate's latest word on a release."""
        return next((verdict for verdict in reversed(self.verdicts) if verdict.number == number), None)

    def judged(self, verdict: Verdict) -> "Record":
        """With one verdict more."""
        return msgspec.structs.replace(self, verdicts=(*self.verdicts, verdict))

    def preparing(self, act: Act) -> "Record":
        """With an act that is under way."""
        return msgspec.structs.replace(self, coming=act)

    def done(self, act: Act) -> "Record":
        """With an act that happened."""
        return msgspec.structs.replace(self, acts=(*self.acts, act), coming=None)

    def settled(self, number: int | None) -> "Record":
        """With an act that was stopped half-way done or forgotten, as `number`, where the alias is, tells."""
        if self.coming is None:
            return self
        happened = self.coming.number == number and (self.now is None or self.now.number != number)
        return self.done(self.coming) if happened else msgspec.structs.replace(self, coming=None)

    def check(self, number: int, sha256: str) -> None:
        """Raise RecordRefused unless the release of that number and content is the champion that was made here."""
        allowed = {act.number: act.sha256 for act in (self.coming, self.now) if act}
        if number in allowed:
            if sha256 != allowed[number]:
                raise RecordRefused(f"other content than was promoted: expected sha256 {allowed[number]}, not {sha256}")
            return
        if number < self.highest:
            raise RecordRefused(
                f"older than release {self.highest}, which was champion: expected the one that was promoted, "
                f"{max(allowed)}; if the older one is wanted, `secmesh promote {number} --reason WHY`"
            )
        raise RecordRefused(f"was never promoted here: if it should be champion, `secmesh promote {number}`")


def record_path(home: Home) -> Path:
    """The file of the record."""
    return home.var / "champions.json"


def read(home: Home) -> Record:
    """The record of `home`, empty if nothing was promoted there. Raises RecordRefused if it was changed."""
    path = record_path(home)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
        signed = msgspec.json.decode(content, type=_Signed)
        verify(msgspec.json.encode(signed.record), _PURPOSE, signed.signature, key_path(home))
    except FileNotFoundError:
        return Record()
    except (msgspec.DecodeError, SignatureRefused) as error:
        remedy = "bring back a copy of it, or remove it and promote a release by its number"
        raise RecordRefused(f"{path}: {error}: {remedy}") from error
    return signed.record


def write(home: Home, record: Record) -> None:
    """Sign and keep the record, whole or not at all."""
    signature = sign(msgspec.json.encode(record), _PURPOSE, key_path(home))
    home.var.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(_Signed(record, signature)), indent=1)
    write_whole(record_path(home), lambda file: file.write(text + b"\n"))


@contextmanager
def changing(home: Home) -> Iterator[None]:
    """Nobody else changes the record or the champion of `home` meanwhile."""
    home.var.mkdir(parents=True, exist_ok=True)
    with (home.var / "champions.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    record: Record
    signature: Signature
