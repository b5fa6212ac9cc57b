"""The detector: a process that folds the event log, ranks what it finds, and tells the door of it.

    python -m serving.folding.detector HOME DESCRIPTOR

It reads the log by itself, so a slow or broken detector holds up nobody who posts; another one goes on from the newest
snapshot. Ranking has a thread of its own and always takes the newest state, so that it never delays detection.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import msgspec

from agents.consensus.council import Council
from agents.consensus.guidance import Guidance
from agents.consensus.trusting import guided_by
from agents.succeeding import Heirs
from features.events import Domain
from models.home import Home
from models.registry import Registry
from models.threads import one_thread
from serving.batch.scoring import records
from serving.folding import snapshots
from serving.folding.acts import Forgetting
from serving.folding.challenge import Challenge
from serving.folding.fold import MOST, Fold, MustForget, Scored
from serving.folding.last_ranking import Keeping
from serving.folding.messages import (
    Arrived,
    Ask,
    Challenged,
    Judged,
    Line,
    Progress,
    Ranked,
    Said,
    Snapped,
    Stop,
    ToDetector,
    ToDoor,
    Watch,
    detectors_end,
)
from serving.stream.log_entries import START, Kept, Kind, Place, digest
from serving.stream.log_reader import LogReader
from serving.succession import Succession, watching

#: Events after which a snapshot is kept, and seconds of quiet after which one is kept of what is not in one yet.
SNAPSHOT_EVENTS: Final = 100_000
QUIET_SECONDS: Final = 5.0
#: Seconds after which a snapshot is tried again that the disk did not take.
AGAIN_SECONDS: Final = 5.0

_READ_ENTRIES, _READ_BYTES = 256, 16 << 20
_LOOK_SECONDS = 0.25
_MOST_ASKED = 10_000
#: Events from which a look was a large one; the next then begins so many seconds later, or when enough have come
#: together: much at once costs half as much for each event.
_LARGE, _GATHER_SECONDS, _ENOUGH = 1000, 0.25, 10_000
#: After ranking, it rests for as long as that took, and up to so many times longer while detection is behind.
_RESTS_BEHIND, _LONGEST_REST = 8.0, 4.0


class Detector:
    """Follows a log from where its fold is, until it is told to stop or the door is gone."""

    def __init__(self, log: LogReader, fold: Fold, folder: Path, line: Line[ToDoor, ToDetector]) -> None:
        self._log, self._fold, self._folder, self._line = log, fold, folder, line
        self._asked: dict[bytes, None] = {}
        self._kept_at, self._again, self._is_stopped = fold.place, 0.0, False
        self._refused: int | None = None
        self._large_since: float | None = None
        self._last = Keeping(folder.parent)
        self._ranking = Ranking(line, self._last)

    def run(self, catch_up: Callable[[], object]) -> None:
        """`catch_up` hears once that all of the log is scored.

        Raises MustForget, DamagedLog, NoBatch and what loading a release raises: nothing is made up instead.
        """
        self._tell([])
        with self._last.going_on(), self._ranking.going_on():
            quiet_since, is_behind = time.monotonic(), True
            while not self._is_stopped:
                self._gather()
                kept = self._log.read(self._fold.place, most_entries=_READ_ENTRIES, most_bytes=_READ_BYTES)
                self._listen(0 if kept else _LOOK_SECONDS)
                if kept:
                    self._large_since = time.monotonic() if _events(kept) >= _LARGE else None
                    self._tell(self._fold.take(kept))
                    quiet_since = time.monotonic()
                elif is_behind:
                    is_behind = False
                    catch_up()
                is_quiet = time.monotonic() - quiet_since > QUIET_SECONDS
                self._keep(1 if is_quiet else SNAPSHOT_EVENTS)
        self._keep(1)

    def arrive(self, heirs: Heirs) -> None:
        """Have a new champion ready, and ask for its place in the log."""
        self._fold.prepare(heirs)
        self._line.send(Arrived(heirs.release))

    def refuse(self, release: int | None) -> None:
        """Say which release cannot be used, None if the champion can."""
        self._refused = release

    def _gather(self) -> None:
        """Let more come before the next look, if the last was a large one and nobody waits for verdicts."""
        while self._large_since is not None and not self._asked and not self._is_stopped:
            left = self._large_since + _GATHER_SECONDS - time.monotonic()
            if left <= 0 or self._log.head().events - self._fold.place.events >= _ENOUGH:
                return
            self._listen(left)

    def _listen(self, seconds: float) -> None:
        while self._line.waits(seconds):
            seconds = 0
            match self._line.receive():
                case Ask(digest=wanted):
                    self._asked[wanted] = None
                    if len(self._asked) > _MOST_ASKED:
                        del self._asked[next(iter(self._asked))]  # it never came
                case Stop():
                    self._is_stopped = True
                    return
                case _:
                    pass

    def _tell(self, scored: Sequence[Scored]) -> None:
        fold = self._fold
        for kept, verdicts in (pair for one in scored if self._asked for pair in one.of_each()):
            if (key := digest(kept.entry.payload)) in self._asked:
                del self._asked[key]
                self._line.send(Judged(key, msgspec.json.encode(records(verdicts.sort("line", "seq")))))
        if fold.said:
            self._line.send(Said(fold.said, "champion"))
            fold.said = []
        accepted = scored[-1].kept[-1].entry.microseconds / 1e6 if scored and scored[-1].kept else 0.0
        agents = [Watch(domain.value, fold.seen[domain], fold.notices(domain)) for domain in Domain]
        self._line.send(Progress(fold.place.position, fold.place.events, fold.release, self._refused, agents))
        is_behind = self._log.head().events - fold.place.events > _ENOUGH
        self._ranking.renew(fold.council.aside(), guided_by(fold.answers), fold.place, accepted, is_behind)

    def _keep(self, events: int) -> None:
        """Keep a snapshot if so many events came since the last; where the disk takes none, all goes on without."""
        place = self._fold.place
        if place.events - self._kept_at.events < events or time.monotonic() < self._again:
            return
        try:
            snapshots.keep(self._folder, place, *self._fold.snapshot())
        except OSError as error:
            self._again = time.monotonic() + AGAIN_SECONDS
            line = f"no snapshot of position {place.position} is kept, the disk did not take it ({error})"
            self._line.send(Said([line], "warning"))
        else:
            self._kept_at = place
            self._line.send(Snapped(place.position))


def _events(kept: Iterable[Kept]) -> int:
    return sum(one.entry.events for one in kept)


class Ranking:
    """Ranks the newest state in a thread of its own; what is older than the newest is never ranked."""

    def __init__(self, line: Line[ToDoor, ToDetector], last: Keeping) -> None:
        self._line, self._last = line, last
        self._newest: tuple[Council, Guidance, Place, float] | None = None
        self._changed, self._is_over, self._is_behind = threading.Condition(), False, False

    def renew(self, council: Council, guidance: Guidance, place: Place, accepted: float, is_behind: bool) -> None:
        """There is something newer; `is_behind` says whether much more waits to be scored."""
        with self._changed:
            self._newest, self._is_behind = (council, guidance, place, accepted), is_behind
            self._changed.notify()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Rank until the end of the context, the last state in any case."""
        thread = threading.Thread(target=self._run, name="ranking", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify()
            thread.join()

    def _run(self) -> None:
        took = 0.0
        while (newest := self._next(took)) is not None:
            began = time.monotonic()
            council, guidance, place, accepted = newest
            threats = council.rank(MOST, guidance)
            told = [(one.id, one.score, one.listed, msgspec.json.encode(one.record())) for one in threats]
            ranked = Ranked(place.position, place.events, accepted, told)
            with suppress(OSError):  # the door is gone, and so will be the detector
                self._line.send(ranked)
            self._last.renew(ranked)
            took = time.monotonic() - began

    def _next(self, took: float) -> tuple[Council, Guidance, Place, float] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over, min(took, _LONGEST_REST))
            longer = min((_RESTS_BEHIND - 1) * took, _LONGEST_REST)
            self._changed.wait_for(lambda: self._is_over or not self._is_behind, longer)
            self._changed.wait_for(lambda: self._newest is not None or self._is_over)
            newest, self._newest = self._newest, None
            return newest


def started(registry: Registry, log: LogReader, folder: Path, say: Callable[[str], None]) -> Fold:
    """The fold as of the newest snapshot that is good, or as of the start; `say` hears of those that are not."""
    head = log.head()

    def is_of_log(place: Place) -> bool:
        return place.position <= head.position and log.place(place.position) == place

    for snapshot in snapshots.newest(folder, is_of_log, say):
        fold = Fold(registry, forgotten_in(log, snapshot.place))
        try:
            fold.restore(snapshot)
        except (ValueError, LookupError) as error:
            say(f"{error}; an older one is taken")
        else:
            return fold
    return Fold(registry, forgotten_in(log, START))


def forgotten_in(log: LogReader, place: Place) -> list[Forgetting]:
    """All that the log says, behind a place, should be forgotten."""
    found = []
    while kept := log.read(place):
        place = kept[-1].place
        said = (one.entry.payload for one in kept if one.entry.kind is Kind.FORGET)
        found += [msgspec.json.decode(payload, type=Forgetting) for payload in said]
    return found


def work(home: Home, line: Line[ToDoor, ToDetector]) -> None:
    """Follow the log of a home until the door says so, or is gone."""
    registry, log = Registry(home), LogReader(home.var / "events.db")
    folder = home.var / "snapshots"

    def say(lines: Iterable[str], kind: str) -> None:
        line.send(Said(list(lines), kind))

    def follow(fold: Fold) -> None:
        detector = Detector(log, fold, folder, line)
        with ExitStack() as watched:

            def watch() -> None:
                succession = Succession(registry, fold.release, fold.agents, detector.arrive, say)
                challenge = Challenge(registry, lambda release: line.send(Challenged(release)))

                def look() -> None:
                    succession.look()
                    detector.refuse(succession.refused)
                    challenge.look(fold.release)

                watched.enter_context(watching(look))

            detector.run(watch)

    while True:
        try:
            follow(started(registry, log, folder, lambda text: say([text], "warning")))
        except MustForget:
            say(["the log says that something should be forgotten: it is folded again without"], "forgotten")
        else:
            return


def main(home: Path, descriptor: int) -> None:
    """Work at one end of a socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the door hears it, and tells
    with one_thread(), suppress(EOFError, BrokenPipeError, ConnectionResetError):
        work(Home.at(home), detectors_end(Connection(descriptor)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
