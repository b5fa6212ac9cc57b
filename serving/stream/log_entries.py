"""What an event log holds: entries in one order, each chained to all before it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.mistakes import AskedWrong, FoundWrong

#: Most bytes of one entry's payload.
PAYLOAD_BYTES = 256 << 20

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class DamagedLog(FoundWrong):
    """A log or its lake is not as it was written; the text names the file and the position."""


class LogUnwritable(FoundWrong):
    """Nothing of this was kept; the log is as it was, and the same may be tried again later."""


class LogInUse(AskedWrong):
    """Another process writes this log."""


class NoLog(AskedWrong):
    """There is no event log at this path."""


class KeyTaken(AskedWrong):
    """An entry has the key of an earlier one of its tenant, but not its content."""


class Kind(StrEnum):
    """What an entry is."""

    EVENTS = "events"
    PROMOTION = "promotion"
    DECISION = "decision"
    FORGET = "forget"


@dataclass(frozen=True)
class Entry:
    """Something to keep: `events` of them packed as `payload` (see `serving.stream.packing`), or JSON of another kind.

    At most one entry of a `tenant` has a `key`. `content` is a digest of what the key stands for, such as the body of
    a request; without it, the payload's own. Each event may have one of the `marks` (see `serving.stream.marks`):
    those that the log knows are left out, for which `thinned` packs the others. Raises ValueError for what no log can
    hold.
    """

    kind: Kind
    accepted: datetime
    principal: str
    tenant: str
    payload: bytes
    events: int = 0
    key: str | None = None
    content: bytes | None = field(default=None, compare=False)
    marks: Sequence[bytes] = field(default=(), compare=False)
    thinned: Callable[[NDArray[np.bool_]], bytes] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.accepted.tzinfo is None:
            raise ValueError(f"accepted must have a zone, not {self.accepted}")
        if self.events < 0 or (self.events > 0) != (self.kind is Kind.EVENTS):
            raise ValueError(f"events must be a number above 0 in a batch of events, else 0, not {self.events}")
        if len(self.payload) > PAYLOAD_BYTES:
            raise ValueError(f"payload has {len(self.payload)} bytes; at most {PAYLOAD_BYTES} are kept")
        for name, text in (("principal", self.principal), ("tenant", self.tenant), ("key", self.key or "")):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ValueError(f"{name} is no text in UTF-8: {text!r}") from error

    @property
    def microseconds(self) -> int:
        """When it was accepted, since 1970 in UTC."""
        return since_1970(self.accepted)


@dataclass(frozen=True)
class Place:
    """A place in a log: how many entries and events are before it, and the hash of them all (32 bytes)."""

    position: int
    events: int
    chain: bytes


#: Before the first entry.
START = Place(0, 0, bytes(32))


@dataclass(frozen=True)
class Kept:
    """An entry in its log; `place` is the one behind it, so that its position is `place.position`, from 1 on."""

    place: Place
    entry: Entry

    @property
    def first(self) -> int:
        """The number of its first event, from 1 on; without events, of the next one that comes."""
        return self.place.events - self.entry.events + 1


@dataclass(frozen=True)
class Receipt:
    """Where an entry is kept; `is_repeated` if it had been before, `known` how many of its events had been.

    If all had been, nothing is kept, and the position is that of the last entry.
    """

    position: int
    first: int
    events: int
    is_repeated: bool = field(default=False, compare=False)
    known: int = field(default=0, compare=False)


def digest(content: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(content).digest()


def since_1970(time: datetime) -> int:
    """Microseconds from 1970 in UTC until a time."""
    return (time - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """The time that is so long after 1970, in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def behind(before: Place, entry: Entry, payload_digest: bytes) -> Place:
    """The place behind `entry`, which comes next after `before`."""
    position, first = before.position + 1, before.events + 1
    fields = (position, first, entry.events, entry.kind, entry.microseconds, entry.principal, entry.tenant, entry.key)
    chain = digest(before.chain + payload_digest + msgspec.json.encode(fields))
    return Place(position, before.events + entry.events, chain)
