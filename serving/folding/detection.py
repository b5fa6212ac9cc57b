"""Keeps a detector at work beside the door, and what it told last."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from models.home import Home
from serving.folding.companions import Companions
from serving.folding.messages import Arrived, Ask, Judged, Progress, Ranked, Said, Snapped, ToDoor, Wake
from serving.folding.process import Attended
from serving.say import Say

_DETECTOR = "serving.folding.detector"


class DetectorGone(Exception):
    """The detector ended; another one makes the same of the log, but not for who waited for this one."""


@dataclass(frozen=True)
class View:
    """What is known of the detector: whether it runs, how far it came, and the last ranking."""

    is_running: bool = False
    progress: Progress = Progress(0, 0, None, None, [])  # noqa: RUF009  # frozen
    ranked: Ranked = Ranked(0, 0, 0.0, [])  # noqa: RUF009  # frozen, and nobody appends


class Detection:
    """Starts a detector, listens to it, and starts another if it ends before it was told to; so its companions.

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
        self._say = say
        self._promote, self._snapped, self._changed = promote, snapped, changed
        self._asked: dict[bytes, list[Future[bytes]]] = {}
        self._asking = threading.Lock()
        self._detector = Attended(_DETECTOR, "detector", home, say, self._hear, self._begin, self._lose)
        self._companions = Companions(home, say)

    def start(self) -> None:
        """Have it begin."""
        self._detector.start()

    def wake(self) -> None:
        """There is more in the log."""
        self._detector.send(Wake())

    def ask(self, digest: bytes) -> Future[bytes]:
        """The verdicts, as JSON, on an entry that is not in the log yet, by its payload's SHA-256.

        It raises DetectorGone if the detector ends before it gets there.
        """
        answer: Future[bytes] = Future()
        with self._asking:
            self._asked.setdefault(digest, []).append(answer)
        self._detector.send(Ask(digest))
        return answer

    def forget(self, digest: bytes, answer: Future[bytes]) -> None:
        """Nobody waits for this answer any more."""
        with self._asking:
            waiting = [other for other in self._asked.pop(digest, []) if other is not answer]
            if waiting:
                self._asked[digest] = waiting

    def stop(self) -> None:
        """Have the detector keep what it made of the log, and end."""
        self._detector.stop()
        self._companions.stop()

    def _begin(self) -> None:
        with self._asking:
            before = list(self._asked)  # there was nobody to ask
        for digest in before:
            self._detector.send(Ask(digest))

    def _hear(self, message: ToDoor) -> None:
        self._companions.hear(message)
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
