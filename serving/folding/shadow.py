"""The shadow: a process that scores the stream as champion and as challenger, and acts on nothing.

    python -m serving.folding.shadow HOME DESCRIPTOR

It shares the log's file with the detector, and nothing else, and has the least claim on the processor. What it finds is
in `shadow.json` below `var` for as long as it is at work.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from features.mistakes import FoundWrong
from models.home import Home
from models.registry import CHAMPION, Registry
from models.releases import CHALLENGER, NAME
from models.threads import one_thread
from serving.folding.comparing import Comparison
from serving.folding.fold import MustForget
from serving.folding.last_shadow import keep
from serving.folding.messages import Line, Said, ToDetector, ToDoor, detectors_end, is_stopped
from serving.stream.log_reader import LogReader

#: Seconds between two looks at who is champion and who challenger, and between two times that it tells.
EVERY_SECONDS: Final = 5.0
#: Seconds after which what could not be compared is tried again.
AGAIN_SECONDS: Final = 300.0

_NICE = 19
_LOOK_SECONDS = 0.5


class Rivals:
    """Which releases are champion and challenger, by number, as of when this was made."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._next = registry, time.monotonic() + EVERY_SECONDS
        self.champion, self.challenger = self._now()

    def have_changed(self) -> bool:
        """Whether they are others by now; looks once in EVERY_SECONDS."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + EVERY_SECONDS
        return self._now() != (self.champion, self.challenger)

    def _now(self) -> tuple[int | None, int | None]:
        return self._registry.alias(NAME, CHAMPION), self._registry.alias(NAME, CHALLENGER)


def work(home: Home, line: Line[ToDoor, ToDetector]) -> None:
    """Compare until the other end of the line says so, or until other releases are champion and challenger.

    Raises EOFError if the other end is gone, and MustForget if the log says that something should be forgotten.
    """
    registry = Registry(home)
    rivals = Rivals(registry)
    if rivals.challenger is None or rivals.challenger == rivals.champion:
        return

    def is_over(seconds: float) -> bool:
        return is_stopped(line, seconds) or rivals.have_changed()

    try:
        with closing(LogReader(home.var / "events.db")) as log:
            compared = Comparison(registry, log, home.var / "snapshots", rivals.challenger, lambda text: None)
            compare(compared, home.var, is_over)
    except FoundWrong as error:
        line.send(Said([f"release {rivals.challenger} has no shadow: {error}"], "warning"))
        began = time.monotonic()
        while time.monotonic() - began < AGAIN_SECONDS and not is_over(EVERY_SECONDS):
            pass


def compare(compared: Comparison, var: Path, is_over: Callable[[float], bool]) -> None:
    """Have it go on until `is_over`, which may wait for some seconds, and keep what it tells below `var` meanwhile."""
    told, at, is_behind = -1, -EVERY_SECONDS, True
    while not is_over(0.0 if is_behind else _LOOK_SECONDS):
        is_behind = compared.step() > 0
        if compared.events != told and time.monotonic() - at >= EVERY_SECONDS:
            keep(compared.told(), var)
            told, at = compared.events, time.monotonic()


def main(home: Path, descriptor: int) -> None:
    """Work at one end of a socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the door hears it, and tells
    os.nice(_NICE)
    with one_thread(), suppress(EOFError, BrokenPipeError, ConnectionResetError, MustForget):
        work(Home.at(home), detectors_end(Connection(descriptor)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
