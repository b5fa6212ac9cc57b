"""The door: takes posts into the event log, and answers with what the detector made of it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Full
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from models.home import Home
from serving.access.policy import MAIN, Principal
from serving.api import posts
from serving.api.posts import Post, Read
from serving.api.problems import Problem
from serving.api.readers import Readers, Shed
from serving.folding.acts import Decision, Forgetting, Promotion
from serving.folding.detection import Detection, DetectorGone, View
from serving.folding.forgetting import forgotten_events
from serving.say import Say
from serving.stream.event_log import EventLog
from serving.stream.group_commit import GroupCommit
from serving.stream.log_entries import DamagedLog, Entry, KeyTaken, Kind, LogUnwritable, Receipt, digest
from serving.stream.marks import marks_of, without
from serving.stream.packing import packed

#: Bytes of posts that wait to be read, and how many are read at once.
ROOM_BYTES, READERS = 256 << 20, 2
#: Events that the log holds before they move into the lake while posts come, and seconds without a post from which
#: they move at once.
HELD_EVENTS, QUIET_SECONDS = 500_000, 3.0
#: Seconds after which a promotion is put into the log again that it did not take.
PROMOTE_AGAIN_SECONDS = 5.0
#: Seconds that a post waits for its verdicts.
VERDICT_SECONDS = 30.0

_SECMESH = "secmesh"


@dataclass(frozen=True)
class Taken:
    """A post that is in the log: where, what was refused of it, and its verdicts as JSON if they were asked for."""

    receipt: Receipt
    logs: Read
    verdicts: bytes | None


@dataclass(frozen=True)
class _Ready:
    """A body that was read, with what the log takes of it: its events packed, how many, and their marks."""

    read: Read
    payload: bytes
    events: int
    marks: list[bytes]


class Door:
    """The log with its one writer, a detector beside it, and who waits for what; for one event loop.

    As a context it works; `say` hears what whoever runs it should know, and `visible` how many seconds after it was
    accepted the last of some events is in the ranking, from any thread.
    """

    def __init__(
        self,
        home: Home,
        say: Say,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        visible: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        self._home, self._say, self._now, self._visible = home, say, now, visible
        self._is_closed, self._ranked = False, 0
        self._moved, self._taken_at = 0, -QUIET_SECONDS
        self._log = EventLog(home.var / "events.db")
        self._commits = GroupCommit(self._log)
        self._readers = Readers(READERS, ROOM_BYTES, _ready)
        self._changed: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._detection = Detection(home, say, self._promote, self._snapped, self._see)
        self._moving = threading.Lock()

    def __enter__(self) -> Self:
        self._detection.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._commits.close()
        self._detection.stop()
        with self._moving:
            self._is_closed = True
            self._log.close()

    @property
    def view(self) -> View:
        """What is known of the detector."""
        return self._detection.view

    @property
    def var(self) -> Path:
        """The folder of all that the service makes."""
        return self._home.var

    @property
    def waiting(self) -> int:
        """Bytes of posts that wait to be read."""
        return self._readers.waiting

    def lag(self) -> float:
        """Seconds since what was ranked last was accepted, 0 if all is ranked."""
        ranked = self.view.ranked
        is_behind = ranked.events < self.head()[1]
        return max(0.0, self._now().timestamp() - ranked.accepted) if is_behind and ranked.accepted else 0.0

    def head(self) -> tuple[int, int]:
        """The position of the last entry of the log, and how many events there are."""
        place = self._log.head()
        return place.position, place.events

    async def take(self, post: Post, format: str, kind: str, who: Principal, key: str | None, *, judged: bool) -> Taken:
        """Read a post and put its events into the log; answers once they are safely there. Raises Problem."""
        self._taken_at = time.monotonic()
        ready = await self._read(post, format, kind, who)
        if not ready.events:
            raise _nothing(ready.read)
        content = digest(post.digest + format.encode())

        def thinned(is_known_B: NDArray[np.bool_]) -> bytes:
            return packed(without(ready.read.events, is_known_B))

        batch = (ready.payload, ready.events, key, content, ready.marks, thinned)
        entry = Entry(Kind.EVENTS, self._now(), who.name, who.tenant, *batch)
        if not judged:
            return Taken(await self._committed(entry), ready.read, None)
        waiting = self._detection.ask(seal := digest(ready.payload))
        try:
            receipt = await self._committed(entry)
            is_new = not receipt.is_repeated and not receipt.known
            return Taken(receipt, ready.read, await _verdicts(waiting) if is_new else None)
        finally:
            self._detection.forget(seal, waiting)

    async def decide(self, decision: Decision, who: Principal, key: str | None) -> Receipt:
        """Put what an analyst said of a threat into the log. Raises Problem."""
        return await self._committed(self._act(Kind.DECISION, decision, who, key))

    async def forget(self, gone: Forgetting, who: Principal, key: str | None) -> Receipt:
        """Put into the log that what somebody sent is to be forgotten; the detector folds it again. Raises Problem."""
        try:
            events = await run_in_threadpool(forgotten_events, self._log.path, gone)
        except (LogUnwritable, DamagedLog) as error:
            self._say([str(error)], "warning")
            raise Problem(503, "Not kept", "the log cannot be read", "try again later", retry=5) from error
        if not events:
            why = f"{gone.principal!r} of {gone.tenant!r} sent nothing from position {gone.since} on"
            raise Problem(422, "Nothing to forget", why, "who sent events, and from where on")
        return await self._committed(self._act(Kind.FORGET, gone, who, key))

    def _act(self, kind: Kind, act: Decision | Forgetting, who: Principal, key: str | None) -> Entry:
        """What somebody decided; a key is theirs alone, so that nobody's decision passes for another's."""
        payload = msgspec.json.encode(act)
        content = digest(payload + who.name.encode())
        return Entry(kind, self._now(), who.name, who.tenant, payload, key=key, content=content)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever there is a new view."""
        self._loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            yield changed
        finally:
            self._changed.discard(changed)

    async def _read(self, post: Post, format: str, kind: str, who: Principal) -> _Ready:
        try:
            return await self._readers.read(who.name, post, format, kind)
        except Full:
            raise _busy("too many posts wait") from None
        except Shed:
            raise _busy("too many posts wait, most of them yours") from None

    async def _committed(self, entry: Entry) -> Receipt:
        try:
            receipt = await asyncio.wrap_future(self._commits.submit(entry))
        except Full:
            raise _busy("too much waits for the disk") from None
        except KeyTaken as error:
            raise Problem(409, "Key taken", str(error), "another Idempotency-Key for another post") from error
        except (LogUnwritable, DamagedLog) as error:
            self._say([str(error)], "warning")
            raise Problem(503, "Not kept", "nothing was kept", "try again later", retry=5) from error
        self._detection.wake()
        return receipt

    def _promote(self, release: int) -> None:
        """Have the log say that a release is the champion; what is too busy or has no room is asked again."""
        payload = msgspec.json.encode(Promotion(release))
        try:
            answer = self._commits.submit(Entry(Kind.PROMOTION, self._now(), _SECMESH, MAIN, payload))
        except Full:
            self._promote_later(release)
        except RuntimeError:
            return  # the log is closed, and the next service finds the champion by itself
        else:
            answer.add_done_callback(
                lambda done: self._promote_later(release) if done.exception() else self._detection.wake()
            )

    def _promote_later(self, release: int) -> None:
        again = threading.Timer(PROMOTE_AGAIN_SECONDS, self._promote, [release])
        again.daemon = True
        again.start()

    def _snapped(self, position: int) -> None:
        """Move what no restart needs into the lake, beside whatever else goes on, if it is quiet or that is much."""
        least = HELD_EVENTS if time.monotonic() - self._taken_at < QUIET_SECONDS else 1

        def move() -> None:
            with self._moving:
                try:
                    if not self._is_closed and self._log.head().events - self._moved >= least:
                        moved = self._log.move(position)
                        self._moved = moved[-1].last.events if moved else self._moved
                except (LogUnwritable, DamagedLog) as error:
                    self._say([str(error)], "warning")

        threading.Thread(target=move, name="lake", daemon=True).start()

    def _see(self, view: View) -> None:
        if view.ranked.position > self._ranked and view.ranked.accepted:
            self._visible(self._now().timestamp() - view.ranked.accepted)
        self._ranked = view.ranked.position
        if (loop := self._loop) is not None and self._changed:
            loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        for changed in self._changed:
            changed.set()


async def _verdicts(waiting: Future[bytes]) -> bytes | None:
    try:
        return await asyncio.wait_for(asyncio.wrap_future(waiting), VERDICT_SECONDS)
    except (TimeoutError, DetectorGone):
        return None


def _ready(bodies: Sequence[Post], format: str, kind: str) -> list[_Ready | Problem]:
    found = posts.read_together(bodies, format, kind)
    return [one if isinstance(one, Problem) else _prepared(one) for one in found]


def _prepared(read: Read) -> _Ready:
    events = sum(frame.height for frame in read.events.values())
    return _Ready(read, packed(read.events), events, marks_of(read.events))


def _nothing(logs: Read) -> Problem:
    refused = logs.refused
    told = posts.refusals(refused)
    why = "no event could be read"
    return Problem(422, "Nothing accepted", why, posts.EVENTS, refused_count=refused.height, refused=told)


def _busy(why: str) -> Problem:
    return Problem(503, "Busy", why, "try again later", retry=1)
