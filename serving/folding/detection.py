"""Keeps a detector at work beside the door, and what it told last."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from models.home import Home
from serving.folding.messages import (
    Arrived,
    Ask,
    Judged,
    Line,
    Progress,
    Ranked,
    Said,
    Snapped,
    Stop,
    ToDetector,
    ToDoor,
    Wake,
    doors_end,
)
from serving.say import Say

_BACKOFF, _LONGEST = 0.5, 30.0
_STOP_SECONDS = 20.0


class DetectorGone(Exception):
    """The detector ended; another one makes the same of the log, but not for who waited for this one."""


@dataclass(frozen=True)
class View:
    """What is known of the detector: whether it runs, how far it came, and the last ranking."""

    is_running: bool = False
    progress: Progress = Progress(0, 0, None, None, [])  # noqa: RUF009  # frozen
    ranked: Ranked = Ranked(0, 0, 0.0, [])  # noqa: RUF009  # frozen, and nobody appends


class Detection:
    """Starts a detector, listens to it, and starts another if it ends before it was told to.

    `promote` is to put a release into the log, `snapped` hears up to where nothing but folding again needs the log,
    `changed` that there is a new view; all from a thread of its own.
    """

    def __init__(
        self,
        home: Home,
        say: Say,
        promote: Callable[[int], object],
        snapped: Callable[[int], object],
        changed: Callable[[View], object],
    ) -> None:
        self.view = View()
        self._home, self._say = home, say
        self._promote, self._snapped, self._changed = promote, snapped, changed
        self._line: Line[ToDetector, ToDoor] | None = None
        self._asked: dict[bytes, list[Future[bytes]]] = {}
        self._asking = threading.Lock()
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="detection", daemon=True)

    def start(self) -> None:
        """Have it begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is more in the log."""
        self._send(Wake())

    def ask(self, digest: bytes) -> Future[bytes]:
        """The verdicts, as JSON, on an entry that is not in the log yet, by its payload's SHA-256.

        It raises DetectorGone if the detector ends before it gets there.
        """
        answer: Future[bytes] = Future()
        with self._asking:
            self._asked.setdefault(digest, []).append(answer)
        self._send(Ask(digest))
        return answer

    def forget(self, digest: bytes, answer: Future[bytes]) -> None:
        """Nobody waits for this answer any more."""
        with self._asking:
            waiting = [other for other in self._asked.pop(digest, []) if other is not answer]
            if waiting:
                self._asked[digest] = waiting

    def stop(self) -> None:
        """Have the detector keep what it made of the log, and end."""
        self._is_stopped.set()
        self._send(Stop())
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _send(self, message: ToDetector) -> None:
        line = self._line
        if line is not None:
            try:
                line.send(message)
            except OSError:  # it is gone; whoever listens finds out
                return

    def _run(self) -> None:
        wait = _BACKOFF
        while not self._is_stopped.is_set():
            began = time.monotonic()
            code = self._one()
            if self._is_stopped.is_set():
                return
            wait = _BACKOFF if time.monotonic() - began > _LONGEST else min(2 * wait, _LONGEST)
            self._say([f"the detector ended ({code}); another one starts in {wait:.0f} s"], "warning")
            self._is_stopped.wait(wait)

    def _one(self) -> int:
        """Listen to one detector until it ends; its exit code."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "serving.folding.detector", str(self._home.var.parent), str(theirs.fileno())]
        with subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:  # noqa: S603  # our own
            theirs.close()
            self._line = line = doors_end(Connection(ours.detach()))
            try:
                for digest in list(self._asked):  # before there was anybody to ask
                    line.send(Ask(digest))
                while True:
                    self._hear(line.receive())
            except (EOFError, OSError):
                self._line = None
            finally:
                line.close()
                self._lose()
            try:
                return process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _hear(self, message: ToDoor) -> None:
        match message:
            case Progress():
                self._see(replace(self.view, is_running=True, progress=message))
            case Ranked():
                self._see(replace(self.view, ranked=message))
            case Judged(digest=digest, verdicts=verdicts):
                with self._asking:
                    waiting = self._asked.pop(digest, [])
                for answer in waiting:
                    if answer.set_running_or_notify_cancel():
                        answer.set_result(verdicts)
            case Arrived(release=release):
                self._promote(release)
            case Snapped(position=position):
                self._snapped(position)
            case Said(lines=lines, kind=kind):
                self._say(lines, kind)

    def _see(self, view: View) -> None:
        self.view = view
        self._changed(view)

    def _lose(self) -> None:
        self._see(replace(self.view, is_running=False))
        with self._asking:
            waiting, self._asked = self._asked, {}
        for answer in (one for answers in waiting.values() for one in answers):
            if answer.set_running_or_notify_cancel():
                answer.set_exception(DetectorGone("the detector ended before it got there"))
