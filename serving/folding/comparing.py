"""A challenger beside the champion: both score the same events of a log, and what they make of them is compared."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.consensus.council import Council
from agents.consensus.explaining import same_as
from models.registry import Registry
from serving.folding.acts import Promotion
from serving.folding.detector import started
from serving.folding.fold import Fold
from serving.folding.messages import Shadow, Side
from serving.folding.snapshots import Snapshot
from serving.stream.log_entries import Entry, Kept, Kind, moment
from serving.stream.log_reader import LogReader

#: Events that the two may be behind, and how many they score in any case before they skip any.
BEHIND: Final = 200_000
LEAST: Final = 20_000
#: The worst threats, whose agreement is told.
TOP: Final = 20

_ENTRIES, _BYTES = 64, 4 << 20
_LEVELS = (1e-2, 1e-3, 1e-4)
_BATCHES = 1000


class Comparison:
    """Champion and challenger over a log, from the newest snapshot in `folder` on, or else from its start.

    The challenger's side goes on from the same snapshot, as if it were promoted there: what differs is the release and
    not the past. Each side has a council that has heard nothing else. Where the champion changes, it is counted anew.
    `behind` is how many events they may be behind before they go on from a newer snapshot, `least` how many they score
    before they do that again. Raises what `Fold` raises, here and in `step`.
    """

    def __init__(
        self,
        registry: Registry,
        log: LogReader,
        folder: Path,
        challenger: int,
        say: Callable[[str], None],
        behind: int = BEHIND,
        least: int = LEAST,
    ) -> None:
        self._registry, self._log, self._folder = registry, log, folder
        self._challenger, self._say = challenger, say
        self._behind, self._least = behind, least
        self._champion = started(registry, log, folder, say)
        self._other = self._beside(self._champion)
        self._reset()

    @property
    def events(self) -> int:
        """How many events both have scored."""
        return self._mine.events

    def step(self) -> int:
        """Let both score what comes next in the log; how many events."""
        self._hurry()
        kept = self._log.read(self._champion.place, most_entries=_ENTRIES, most_bytes=_BYTES)
        events = [one for one in kept if one.entry.kind is Kind.EVENTS]
        mine = _scored(self._champion, [one for one in kept if one.entry.kind is not Kind.DECISION])
        theirs = _scored(self._other, events)
        for fold in (self._champion, self._other):
            fold.place = kept[-1].place if kept else fold.place
        if self._champion.release != self._mine.release:
            self._reset()
        elif events:
            self._mine.count(*mine)
            self._theirs.count(*theirs)
        return sum(one.entry.events for one in events)

    def told(self) -> Shadow:
        """The numbers as of now."""
        position, agreed = self._champion.place.position, overlap(self._champion.council, self._other.council)
        return Shadow(position, self.events, self._skipped, self._mine.side(), self._theirs.side(), agreed)

    def _reset(self) -> None:
        self._champion.council, self._other.council = Council(), Council()
        self._mine, self._theirs = Tally(self._champion.release), Tally(self._challenger)
        self._skipped, self._until = 0, self._least

    def _hurry(self) -> None:
        """Go on from the newest snapshot, if the two have fallen behind, and have scored enough since the last time."""
        here = self._champion.place
        if self._log.head().events - here.events <= self._behind or self.events < self._until:
            return
        self._until = self.events + self._least
        fold = started(self._registry, self._log, self._folder, self._say)
        if fold.place.events > here.events and fold.release == self._champion.release:
            other = self._beside(fold)
            fold.council, other.council = self._champion.council, self._other.council
            self._champion, self._other = fold, other
            self._skipped += fold.place.events - here.events

    def _beside(self, champion: Fold) -> Fold:
        """A fold that goes on from where another is, with the challenger."""
        arrays, about = champion.snapshot()
        fold = Fold(self._registry)
        fold.restore(Snapshot(champion.place, {name: array.copy() for name, array in arrays.items()}, about))
        fold.take([Kept(champion.place, _promotion(self._challenger))])
        return fold


class Tally:
    """What a release made of events so far, in numbers."""

    def __init__(self, release: int | None) -> None:
        self.release, self.events = release, 0
        self._strange = np.zeros(len(_LEVELS), np.int64)
        self._paces: deque[float] = deque(maxlen=_BATCHES)

    def count(self, p_B: NDArray[np.float64], nanoseconds: int) -> None:
        """A batch, which may be empty: each event's p, and how long all took."""
        self.events += p_B.size
        self._strange += [int(np.sum(p_B <= level)) for level in _LEVELS]
        if p_B.size:
            self._paces.append(nanoseconds / p_B.size)

    def side(self) -> Side:
        """The numbers as of now; all are 0 where nothing was counted."""
        share, rare, rarest = (float(share) for share in self._strange / max(1, self.events))
        pace = float(np.median(self._paces)) if self._paces else 0.0
        return Side(self.release, 1e6 * rare, 1e6 * rarest, share, rare, pace)


def overlap(one: Council, other: Council) -> float | None:
    """The share of the worst threats of two councils that are the same, None if neither has any."""
    mine, theirs = one.rank(TOP), other.rank(TOP)
    most = max(len(mine), len(theirs))
    shared = sum(same_as(threat, theirs) is not None for threat in mine)
    return min(shared, len(theirs)) / most if most else None


def _scored(fold: Fold, kept: Sequence[Kept]) -> tuple[NDArray[np.float64], int]:
    """The p of each event, and the time that it took of the processor, in nanoseconds."""
    began = time.process_time_ns()
    scored = fold.take(kept)
    taken = time.process_time_ns() - began
    return np.concatenate([np.zeros(0), *(one.verdicts["p"].to_numpy() for one in scored)]), taken


def _promotion(release: int) -> Entry:
    return Entry(Kind.PROMOTION, moment(0), "secmesh", "main", msgspec.json.encode(Promotion(release)))
