"""Habit: how unusual an hour of the day or week this is for whoever comes."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import Memory, State, empty_memory, memory_state, restore_memory, touch
from features.word import Look

_HOUR_US = 3_600_000_000
_HOURS = 48  # of a weekday, then of a weekend's day
_WEIGHT = 8.0
_WIDE = 1 << 17
_KNOWN, _CURRENT, _SAID, _SHARES = range(4)
_WHEN = _CURRENT


@dataclass(frozen=True)
class Habit:
    """Surprisal in nats of the hour of the day, of a weekday or of a weekend, given the value of `field`.

    What is counted is the hours in which a value was there, not its events, and all events of an hour (and any that
    come late) say what its first one said, so that no crowd of events makes itself usual. A value known for n hours
    has p = (n p_own + 8 p_all) / (n + 8), where p_all is the same of all values, shrunk likewise by 8 hours to a
    steady presence: the pooled habit weighs a working day, and a new value takes it whole. An hour counts by half,
    its neighbours around the clock by a quarter each. n halves every `half_life` of active time. Hours and weekdays
    are of UTC: a habit shifts by a zone as a whole, but a weekend's edges stay where UTC has them.
    """

    field: str
    half_life: timedelta = timedelta(days=30)

    @property
    def name(self) -> str:
        """Such as `hour of user`."""
        return f"hour of {self.field}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The field."""
        return (self.field,)

    def watch(self, slots: int) -> "HabitWatch":
        """A fresh memory of at most `slots` values, 131,072 of them: they are wide."""
        return HabitWatch(self, slots)


class HabitWatch:
    """How long each value is known, its latest hour, what was said of it, and its share of each; the same of all."""

    def __init__(self, word: Habit, slots: int) -> None:
        self._word = word
        slots = min(slots, _WIDE)
        known = empty_memory(slots, word.half_life.total_seconds())
        # columns beyond the half-life stay as they are
        self._values = known._replace(counts_SC=np.zeros((slots, _SHARES + _HOURS), np.float32))
        self._pool = np.zeros((1, _SHARES + _HOURS))  # the same of all, but the active time to which it is faded

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Nats of surprise, (B,) float64."""
        value_B = look.codes[self._word.field]
        return _surprise(value_B, look.active_B, look.time_B, self._values, self._pool)

    def state(self) -> State:
        """All hours."""
        pool: State = {"pool": self._pool.copy()}
        return pool | memory_state(self._values, "values")

    def restore(self, state: State) -> None:
        """Go on from these hours."""
        restore_memory(self._values, state, "values")
        self._pool[:] = state["pool"]


@njit(cache=True)
def _surprise(
    value_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    time_B: NDArray[np.int64],
    values: Memory,
    pool: NDArray[np.float64],
) -> NDArray[np.float64]:
    nats_B = np.zeros(value_B.size)
    for i in range(value_B.size):
        if value_B[i] == 0:
            continue
        slot, hour = touch(values, value_B[i], active_B[i]), time_B[i] // _HOUR_US
        if hour >= values.counts_SC[slot, _CURRENT]:
            values.counts_SC[slot, _CURRENT] = hour + 1  # the hour from which on it is another one, 0 for a new value
            pool[0, _KNOWN] *= 0.5 ** ((active_B[i] - pool[0, _WHEN]) / values.half_lives_C[0])
            pool[0, _WHEN] = active_B[i]
            h = _of_week(hour)
            values.counts_SC[slot, _SAID] = -np.log(_chance(values.counts_SC, slot, pool, h))
            _add(values.counts_SC, slot, h)
            _add(pool, 0, h)
        nats_B[i] = values.counts_SC[slot, _SAID]
    return nats_B


@njit(cache=True)
def _of_week(hour: int) -> int:
    """The hour of the day for an hour since 1970, 24 more on a weekend."""
    weekend = (hour // 24 + 3) % 7 >= 5  # the first day was a Thursday
    return hour % 24 + (24 if weekend else 0)


@njit(cache=True)
def _chance(counts_SC: NDArray[np.float64], slot: int, pool: NDArray[np.float64], h: int) -> float:
    """The chance of hour `h`, out of a value's own hours, those of all, and a steady presence around the clock."""
    steady = (5.0 if h < 24 else 2.0) / (7.0 * 24.0)
    known, every = counts_SC[slot, _KNOWN], pool[0, _KNOWN]
    p_all = (every * pool[0, _SHARES + h] + _WEIGHT * steady) / (every + _WEIGHT)
    p: float = (known * counts_SC[slot, _SHARES + h] + _WEIGHT * p_all) / (known + _WEIGHT)
    return min(1.0, p)


@njit(cache=True)
def _add(counts_SC: NDArray[np.float64], slot: int, h: int) -> None:
    """One hour more, half of it there and a quarter on either side: shares need not fade, they would do so alike."""
    added = 1.0 / (counts_SC[slot, _KNOWN] + 1.0)
    for share in range(_SHARES, _SHARES + _HOURS):
        counts_SC[slot, share] *= 1.0 - added
    day = _SHARES + h // 24 * 24
    counts_SC[slot, _SHARES + h] += 0.5 * added
    counts_SC[slot, day + (h + 23) % 24] += 0.25 * added
    counts_SC[slot, day + (h + 1) % 24] += 0.25 * added
    counts_SC[slot, _KNOWN] += 1.0
