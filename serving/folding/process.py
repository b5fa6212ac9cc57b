"""Keeps a process at work: starts it, hears what it says, and starts another one if it ends before it was told to."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from models.home import Home
from serving.folding.messages import Line, Stop, ToDetector, ToDoor, doors_end
from serving.say import Say

_BACKOFF, _LONGEST = 0.5, 30.0
_MOST_UNSENT = 10_000


class Attended:
    """A process of its own at the other end of a line: `python -m MODULE HOME DESCRIPTOR`, called `name` to people.

    `hear` gets every message, `begun` hears of each new process when it can be sent to, `lost` that it is gone; all
    from a thread of their own. Another one starts later each time, unless the one before had run for long; one that
    ended as it should is no news. The first one starts after `breath` seconds; `patience` is how many one has to end
    when it is told to, before it is killed.
    """

    def __init__(
        self,
        module: str,
        name: str,
        home: Home,
        say: Say,
        hear: Callable[[ToDoor], object],
        begun: Callable[[], object] = lambda: None,
        lost: Callable[[], object] = lambda: None,
        patience: float = 20.0,
        breath: float = 0.0,
    ) -> None:
        self._module, self._name, self._home, self._say = module, name, home, say
        self._hear, self._begun, self._lost = hear, begun, lost
        self._patience, self._breath = patience, breath
        self._line: Line[ToDetector, ToDoor] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._sending = threading.Lock()
        self._unsent: dict[ToDetector, None] = {}
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Have it begin."""
        self._thread.start()

    def send(self, message: ToDetector) -> None:
        """Send a message to the process that is there now, as soon as it has room; never waits."""
        with self._sending:
            if self._line is not None:
                self._unsent[message] = None  # what waits already need not be said twice
                if len(self._unsent) > _MOST_UNSENT:
                    del self._unsent[next(iter(self._unsent))]
                self._send_all(self._line)

    def stop(self) -> None:
        """Have it end."""
        self._is_stopped.set()
        self.send(Stop())
        if self._thread.is_alive():
            self._thread.join(self._patience)
        if self._thread.is_alive() and (process := self._process) is not None:
            process.kill()
            self._thread.join()

    def _run(self) -> None:
        wait = _BACKOFF
        self._is_stopped.wait(self._breath)
        while not self._is_stopped.is_set():
            began = time.monotonic()
            code = self._one()
            if self._is_stopped.is_set():
                return
            wait = _BACKOFF if time.monotonic() - began > _LONGEST else min(2 * wait, _LONGEST)
            if code:
                self._say([f"the {self._name} ended ({code}); another one starts in {wait:.0f} s"], "warning")
            self._is_stopped.wait(wait)

    def _one(self) -> int:
        """Listen to one process until it ends; its exit code."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", self._module, str(self._home.var.parent), str(theirs.fileno())]
        with subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:  # noqa: S603  # our own
            theirs.close()
            self._process = process
            line = doors_end(Connection(ours.detach()))
            self._turn_to(line)
            self._begun()
            if self._is_stopped.is_set():  # before there was anybody to tell
                self.send(Stop())
            try:
                with suppress(EOFError, OSError):
                    while True:
                        message = line.receive()
                        with self._sending:
                            self._send_all(line)  # it listens again
                        self._hear(message)
            finally:
                self._turn_to(None)
                line.close()
                self._lost()
            try:
                return process.wait(self._patience)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _turn_to(self, line: Line[ToDetector, ToDoor] | None) -> None:
        with self._sending:
            self._line, self._unsent = line, {}

    def _send_all(self, line: Line[ToDetector, ToDoor]) -> None:
        with suppress(OSError):  # it is gone; whoever listens finds out
            while self._unsent and line.has_room():
                line.send(message := next(iter(self._unsent)))
                del self._unsent[message]
