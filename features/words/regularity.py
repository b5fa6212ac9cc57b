"""Regularity: how much like a clock a key keeps coming, as the beacons of malware do."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import Memory, State, empty_memory, memory_state, mix, restore_memory, touch
from features.word import Look

_BEATS, _SPREAD, _CENTRE, _LATEST = range(4)
_MEMORYLESS = 0.75  # the spread that this memory measures of a Poisson stream
_PRIOR = 2.0
_FURTHEST = 2.0
_LOG_1_5, _LOG_3_5 = np.log(1.5), np.log(3.5)
_SLOWEST = 1.0 / 16.0  # so that a clock that changes its pace is soon found again


@dataclass(frozen=True)
class Regular:
    """log(1 + n log(s / 2 spread)), not below 0, of the n beats of the events that share `field` (and `per`).

    Events that follow one another within `least` are one beat, so a flood is a single one. `spread` is the mean of
    |log gap - its running centre| over the gaps between beats, with two gaps as a prior that are spread like those of
    a Poisson stream, s = 0.75; so the nats grow with every beat of a sender that is twice as regular as chance or more,
    and the first six beats say 0. A gap of two or three usual ones is one with beats missed, and no gap lies further
    than 2 from the centre. n and the spread halve every `half_life`. Gaps are of the log's own time, not active time.

    After RITA (`activecm/rita-legacy`, `pkg/beacon/analyzer.go`), which averages scores of the skew and the median
    absolute deviation of a day's gaps in Zeek's logs and of their count; here one pass and bounded memory do it.
    """

    field: str
    per: str | None = None
    least: timedelta = timedelta(seconds=1)
    half_life: timedelta = timedelta(days=1)

    @property
    def name(self) -> str:
        """Such as `regularity of peer per address`."""
        return f"regularity of {self.field} per {self.per}" if self.per else f"regularity of {self.field}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The field, and the one that splits it."""
        return (self.field, self.per) if self.per else (self.field,)

    def watch(self, slots: int) -> "RegularWatch":
        """A fresh memory of at most `slots` keys."""
        return RegularWatch(self, slots)


class RegularWatch:
    """Beats, their spread, their centre and the latest one of every key."""

    def __init__(self, word: Regular, slots: int) -> None:
        self._word = word
        half_life = word.half_life.total_seconds()
        fading = empty_memory(slots, half_life, half_life)
        self._keys = fading._replace(
            counts_SC=np.zeros((slots, 4))
        )  # the columns beyond the half-lives stay as they are

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Log of one more than the nats for a clock, (B,) float64."""
        key_B = look.codes[self._word.field]
        per_B = look.codes[self._word.per] if self._word.per else np.zeros_like(key_B)
        least = self._word.least.total_seconds()
        return _clockwork(key_B, per_B, look.active_B, look.time_B, least, self._keys)

    def state(self) -> State:
        """All that is known of the keys."""
        return memory_state(self._keys, "keys")

    def restore(self, state: State) -> None:
        """Go on from these keys."""
        restore_memory(self._keys, state, "keys")


@njit(cache=True)
def _clockwork(
    key_B: NDArray[np.uint64],
    per_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    time_B: NDArray[np.int64],
    least: float,
    keys: Memory,
) -> NDArray[np.float64]:
    said_B = np.zeros(key_B.size)
    for i in range(key_B.size):
        if key_B[i] == 0:
            continue
        slot = touch(keys, mix(key_B[i], per_B[i]), active_B[i])
        n = keys.counts_SC[slot, _BEATS]
        spread = (keys.counts_SC[slot, _SPREAD] + _PRIOR * _MEMORYLESS) / (n + _PRIOR)
        if 2.0 * spread < _MEMORYLESS:
            said_B[i] = np.log1p(n * np.log(0.5 * _MEMORYLESS / spread))
        _remember(keys.counts_SC, slot, time_B[i] / 1e6, least)
    return said_B


@njit(cache=True)
def _remember(counts_SC: NDArray[np.float64], slot: int, second: float, least: float) -> None:
    """Remember an event of a key at this second of its log."""
    n, gap = counts_SC[slot, _BEATS], second - counts_SC[slot, _LATEST]
    if n == 0.0 or gap > 0.0:
        counts_SC[slot, _LATEST] = second
    if n > 0.0 and gap <= least:
        return
    away = _MEMORYLESS
    if n > 0.0:
        centre = counts_SC[slot, _CENTRE]
        if centre == 0.0:  # of no gap yet: the log of a gap over the least is above it
            counts_SC[slot, _CENTRE] = np.log(gap / least)
        else:
            away = _deviation(np.log(gap / least) - centre)
            counts_SC[slot, _CENTRE] += away * max(_SLOWEST, 1.0 / (n + 1.0))
    counts_SC[slot, _SPREAD] += abs(away)
    counts_SC[slot, _BEATS] += 1.0


@njit(cache=True)
def _deviation(away: float) -> float:
    """A log gap's distance from the centre, without the beats that were missed, neither end too far out."""
    if _LOG_1_5 < away < _LOG_3_5:
        away -= np.log(np.rint(np.exp(away)))
    return min(_FURTHEST, max(-_FURTHEST, away))
