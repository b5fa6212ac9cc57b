"""Appends to an event log from many threads, whatever waits at once in one commit."""

import threading
from collections import deque
from concurrent.futures import Future
from queue import Full

from serving.stream.event_log import EventLog
from serving.stream.log_entries import DamagedLog, Entry, LogUnwritable, Receipt


class GroupCommit:
    """A thread that commits what waits, at most so many entries and bytes at a time, in the order of `submit`.

    At most `waiting` entries and `waiting_bytes` wait; it does not own the log, which is closed after it.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        most_entries: int = 256,
        most_bytes: int = 16 << 20,
        waiting: int = 1024,
        waiting_bytes: int = 256 << 20,
    ) -> None:
        self._log, self._most_entries, self._most_bytes = log, most_entries, most_bytes
        self._most_waiting, self._most_waiting_bytes = waiting, waiting_bytes
        self._queue: deque[tuple[Entry, Future[Receipt]]] = deque()
        self._bytes, self._is_closed, self._changed = 0, False, threading.Condition()
        self._thread = threading.Thread(target=self._run, name="group commit", daemon=True)
        self._thread.start()

    def submit(self, entry: Entry) -> Future[Receipt]:
        """The receipt to come, or KeyTaken, LogUnwritable, DamagedLog.

        Raises Full at once if too much waits, and RuntimeError if it is closed. One that is cancelled before its turn
        is not appended.
        """
        answer: Future[Receipt] = Future()
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the log is closed")
            is_too_much = self._queue and self._bytes + len(entry.payload) > self._most_waiting_bytes
            if len(self._queue) >= self._most_waiting or is_too_much:
                raise Full
            self._queue.append((entry, answer))
            self._bytes += len(entry.payload)
            self._changed.notify()
        return answer

    @property
    def waiting(self) -> int:
        """How many entries wait, beside those that are being committed."""
        return len(self._queue)

    def close(self) -> None:
        """Commit what waits, and end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next():
            wanted = [(entry, answer) for entry, answer in group if answer.set_running_or_notify_cancel()]
            try:
                receipts = self._log.append([entry for entry, _ in wanted])
            except (LogUnwritable, DamagedLog) as error:
                _fail(wanted, error)
            except BaseException as error:  # nobody waits for a thread that died
                self._die(wanted, error)
                raise
            else:
                for (_, answer), receipt in zip(wanted, receipts, strict=True):
                    if isinstance(receipt, Receipt):
                        answer.set_result(receipt)
                    else:
                        answer.set_exception(receipt)

    def _next(self) -> list[tuple[Entry, Future[Receipt]]]:
        """What is committed next; nothing when it is closed and nothing waits."""
        group: list[tuple[Entry, Future[Receipt]]] = []
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            size = 0
            while self._queue and len(group) < self._most_entries and (not group or size < self._most_bytes):
                group.append(self._queue.popleft())
                size += len(group[-1][0].payload)
            self._bytes -= size
        return group

    def _die(self, wanted: list[tuple[Entry, Future[Receipt]]], error: BaseException) -> None:
        with self._changed:
            self._is_closed = True
            left, self._queue = list(self._queue), deque()
        _fail(wanted + [(entry, answer) for entry, answer in left if answer.set_running_or_notify_cancel()], error)


def _fail(wanted: list[tuple[Entry, Future[Receipt]]], error: BaseException) -> None:
    for _, answer in wanted:
        answer.set_exception(error)
