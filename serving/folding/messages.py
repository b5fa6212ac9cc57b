"""What the door and the processes beside it tell each other; as MessagePack, which is data and never runs."""

import select
from collections.abc import Callable
from multiprocessing.connection import Connection
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

import msgspec


class Wake(msgspec.Struct, frozen=True, tag=True):
    """There is more in the log."""


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Somebody wants the verdicts on the entry with this payload, by its SHA-256; said before it is in the log."""

    digest: bytes


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Keep what was made of the log, and end."""


class Watch(msgspec.Struct, frozen=True):
    """An agent: how many events of its domain it has seen, and what it has to say of its stream."""

    domain: str
    events: int
    notices: list[str]


class Progress(msgspec.Struct, frozen=True, tag=True):
    """The detector has come so far, and this release scores; `refused` is one that cannot."""

    position: int
    events: int
    release: int | None
    refused: int | None
    agents: list[Watch]


class Ranked(msgspec.Struct, frozen=True, tag=True):
    """The threats as of a position: of each its id, its place and score, whether it is listed, and all of it as JSON.

    `accepted` is when the last entry up to there was, in seconds since 1970.
    """

    position: int
    events: int
    accepted: float
    threats: list[tuple[str, float, bool, bytes]]


class Judged(msgspec.Struct, frozen=True, tag=True):
    """The verdicts on an entry that was asked for, as JSON."""

    digest: bytes
    verdicts: bytes


class Arrived(msgspec.Struct, frozen=True, tag=True):
    """A new champion is loaded and may take over: please put it into the log."""

    release: int


class Snapped(msgspec.Struct, frozen=True, tag=True):
    """Snapshots are kept from this position on; what is before is only needed to fold again."""

    position: int


class Challenged(msgspec.Struct, frozen=True, tag=True):
    """Another release than the one that scores waits to take its place, or None does."""

    release: int | None


class Side(msgspec.Struct, frozen=True):
    """What a release makes of events: how many per million have a p of at most 0.001 and 0.0001, and more.

    `share_01` and `share_001` are the shares of events with a p of at most 0.01 and 0.001, which are about that where
    nothing is strange; `nanoseconds` is the time of the processor that an event takes, in the median batch.
    """

    release: int | None
    alerts_001: float
    alerts_0001: float
    share_01: float
    share_001: float
    nanoseconds: float


class Shadow(msgspec.Struct, frozen=True):
    """A challenger that scores the same events as the champion, and acts on nothing.

    Both go on from what the champion had learned when this began. `position` is how far in the log they are, `events`
    how many each has scored since, `skipped` how many neither has, for they fell behind. `overlap` is the share of the
    champion's twenty worst threats that are among the challenger's, null where there are none.
    """

    position: int
    events: int
    skipped: int
    champion: Side
    challenger: Side
    overlap: float | None


class Said(msgspec.Struct, frozen=True, tag=True):
    """Lines for whoever runs the service, and of which kind they are."""

    lines: list[str]
    kind: str


ToDetector: TypeAlias = Wake | Ask | Stop
ToDoor: TypeAlias = Progress | Ranked | Judged | Arrived | Snapped | Challenged | Said
_Out = TypeVar("_Out", bound=msgspec.Struct)
_In = TypeVar("_In", bound=msgspec.Struct)


class Line(Generic[_Out, _In]):
    """One end of the line between the two; any thread may send, one receives."""

    def __init__(self, connection: Connection, received: Callable[[bytes], _In]) -> None:
        self._connection, self._received, self._lock = connection, received, Lock()

    def send(self, message: _Out) -> None:
        """Raises OSError if the other end is gone."""
        with self._lock:
            self._connection.send_bytes(msgspec.msgpack.encode(message))

    def has_room(self) -> bool:
        """Whether a small message can be sent at once: most of what was sent before is received."""
        room = select.poll()
        room.register(self._connection.fileno(), select.POLLOUT)
        return bool(room.poll(0))

    def receive(self) -> _In:
        """The next message; waits for it. Raises EOFError if the other end is gone, and msgspec.DecodeError."""
        return self._received(self._connection.recv_bytes())

    def waits(self, seconds: float) -> bool:
        """Whether a message comes within so many seconds."""
        return self._connection.poll(seconds)

    def close(self) -> None:
        """Let the line go."""
        self._connection.close()


def detectors_end(connection: Connection) -> Line[ToDoor, ToDetector]:
    """The detector's end of a connection."""
    return Line(connection, msgspec.msgpack.Decoder(ToDetector).decode)


def doors_end(connection: Connection) -> Line[ToDetector, ToDoor]:
    """The door's end of a connection."""
    return Line(connection, msgspec.msgpack.Decoder(ToDoor).decode)


def is_stopped(line: Line[ToDoor, ToDetector], seconds: float) -> bool:
    """Whether the other end says, within so many seconds, that this is to end. Raises EOFError if it is gone."""
    while line.waits(seconds):
        if isinstance(line.receive(), Stop):
            return True
        seconds = 0.0
    return False
