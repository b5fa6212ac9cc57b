"""Readers: posts read in threads, those that wait together at once, for reading has a price however little is read."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Full
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from serving.access.limits import Ticket, WaitingRoom
from serving.api.posts import Post

#: Most posts, and bytes of them, that are read together.
TOGETHER, TOGETHER_BYTES = 32, 4 << 20


Made = TypeVar("Made")


class Shed(Exception):
    """A post lost its place to somebody who has waited for less."""


@dataclass(eq=False)
class _Waiting(Generic[Made]):
    post: Post
    format: str
    kind: str
    name: str
    made: asyncio.Future[Made]
    ticket: Ticket | None = None

    def lose(self) -> None:
        if not self.made.done():
            self.made.set_exception(Shed())


class Readers(Generic[Made]):
    """So many threads that read posts, of which at most `room` bytes wait; for one event loop.

    `read` makes something of each of some posts of one format and media type, or says why it cannot.
    """

    def __init__(
        self, threads: int, room: int, read: Callable[[Sequence[Post], str, str], Sequence[Made | Exception]]
    ) -> None:
        self._idle, self._room, self._read = threads, WaitingRoom(room), read
        self._queue: deque[_Waiting[Made]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn, self._turns = 0, dict[str, int]()  # the last turn of each who waits

    @property
    def waiting(self) -> int:
        """Bytes of posts that wait."""
        return self._room.size

    async def read(self, name: str, post: Post, format: str, kind: str) -> Made:
        """What is made of a post by `name`, in its turn. Raises Full, Shed, and why it cannot be read."""
        one = _Waiting[Made](post, format, kind, name, asyncio.get_running_loop().create_future())
        one.ticket = self._room.enter(name, post.size, one.lose)
        if one.ticket is None:
            raise Full
        self._queue.append(one)
        self._begin()
        try:
            made: Made = await one.made
            return made
        finally:
            self._room.leave(one.ticket)

    def _begin(self) -> None:
        while self._idle and (group := self._next()):
            self._idle -= 1
            task = asyncio.ensure_future(self._run(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> list[_Waiting[Made]]:
        """The next post of who has waited longest for a turn, and those that can be read with it."""
        group: list[_Waiting[Made]] = []
        left: deque[_Waiting[Made]] = deque()
        size = 0
        for one in sorted(self._queue, key=lambda one: self._turns.get(one.name, 0)):
            if one.made.done():  # it was shed, or its sender is gone
                continue
            is_alike = not group or (one.format, one.kind) == (group[0].format, group[0].kind)
            if len(group) < TOGETHER and is_alike and (not group or size + one.post.size <= TOGETHER_BYTES):
                group.append(one)
                size += one.post.size
            else:
                left.append(one)
        self._queue, self._turn = left, self._turn + 1
        turns = self._turns | {one.name: self._turn for one in group}
        self._turns = {one.name: turns.get(one.name, 0) for one in left}
        for one in group:
            if one.ticket is not None:
                self._room.leave(one.ticket)
        return group

    async def _run(self, group: Sequence[_Waiting[Made]]) -> None:
        bodies = [one.post for one in group]
        found: Sequence[Made | Exception]
        try:
            found = await run_in_threadpool(self._read, bodies, group[0].format, group[0].kind)
        except Exception as error:  # whoever waits hears of it, whatever it is
            found = [error] * len(group)
        finally:
            self._idle += 1
        for one, made in zip(group, found, strict=True):
            if one.made.done():
                continue
            if isinstance(made, Exception):
                one.made.set_exception(made)
            else:
                one.made.set_result(made)
        self._begin()
