"""Session: how unusual it is to see a value this early or this late in a session."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import Memory, State, empty_memory, memory_state, restore_memory, touch
from features.word import Look

_PLACES = 12
_OPEN, _STEPS, _LATEST = range(3)
_SEEN, _SHARES = range(2)
_WHEN = _SHARES + _PLACES


@dataclass(frozen=True)
class Session:
    """Surprisal in nats of the place in a session of `per` at which `field` takes its value.

    A session ends when `per` is silent for longer than `pause` of the log's own time. Its places are the first step,
    the second, the third and fourth, the fifth to eighth, and so on by doubling. p = (n_place + p_all) / (n + 1) over
    the n events of the value, with as prior, weighing one event, p_all = (N_place + 1 / 12) / (N + 1) over all
    values, so a new value is judged by the places of all. Counts halve every `half_life` of active time.
    Where `per` is missing there is no session: 0, and nothing is remembered.
    """

    field: str
    per: str
    pause: timedelta = timedelta(minutes=30)
    half_life: timedelta = timedelta(days=30)

    @property
    def name(self) -> str:
        """Such as `place of operation in session of user`."""
        return f"place of {self.field} in session of {self.per}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Both fields."""
        return (self.field, self.per)

    def watch(self, slots: int) -> "SessionWatch":
        """A fresh memory of at most `slots` sessions and as many values."""
        return SessionWatch(self, slots)


class SessionWatch:
    """The open sessions, how often each value was seen, and the share of each of its places; the shares of all."""

    def __init__(self, word: Session, slots: int) -> None:
        self._word = word
        # columns beyond the half-lives stay as they are
        sessions = empty_memory(slots, word.pause.total_seconds())
        self._sessions = sessions._replace(counts_SC=np.zeros((slots, 3)))
        values = empty_memory(slots, word.half_life.total_seconds())
        self._values = values._replace(counts_SC=np.zeros((slots, 1 + _PLACES)))
        self._pool = np.zeros((1, 2 + _PLACES))  # the same of all values, and the active time to which it is faded

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Nats of surprise, (B,) float64."""
        value_B, per_B = look.codes[self._word.field], look.codes[self._word.per]
        pause = self._word.pause.total_seconds()
        place_B = _places(value_B, per_B, look.active_B, look.time_B, pause, self._sessions)
        return _surprise(value_B, place_B, look.active_B, self._values, self._pool)

    def state(self) -> State:
        """All that is known of sessions and places."""
        pool: State = {"pool": self._pool.copy()}
        return pool | memory_state(self._values, "values") | memory_state(self._sessions, "sessions")

    def restore(self, state: State) -> None:
        """Go on from these."""
        restore_memory(self._sessions, state, "sessions")
        restore_memory(self._values, state, "values")
        self._pool[:] = state["pool"]


@njit(cache=True)
def _places(
    value_B: NDArray[np.uint64],
    per_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    time_B: NDArray[np.int64],
    pause: float,
    sessions: Memory,
) -> NDArray[np.int64]:
    """The place of each event in its session, -1 where there is none."""
    place_B = np.full(value_B.size, -1)
    for i in range(value_B.size):
        if value_B[i] != 0 and per_B[i] != 0:
            slot = touch(sessions, per_B[i], active_B[i])
            place_B[i] = _step(sessions.counts_SC, slot, time_B[i] / 1e6, pause)
    return place_B


@njit(cache=True)
def _step(counts_SC: NDArray[np.float64], slot: int, second: float, pause: float) -> int:
    """Take a step in a session, a new one after a pause: its place, 0 for the first, doubling."""
    if counts_SC[slot, _OPEN] == 0.0 or second - counts_SC[slot, _LATEST] > pause:
        counts_SC[slot, _STEPS] = 0.0
        counts_SC[slot, _LATEST] = second
    counts_SC[slot, _OPEN] = 1.0
    counts_SC[slot, _STEPS] += 1.0
    counts_SC[slot, _LATEST] = max(second, counts_SC[slot, _LATEST])
    place, ends = 0, 1.0
    while ends < counts_SC[slot, _STEPS] and place < _PLACES - 1:
        place, ends = place + 1, 2.0 * ends
    return place


@njit(cache=True)
def _surprise(
    value_B: NDArray[np.uint64],
    place_B: NDArray[np.int64],
    active_B: NDArray[np.float64],
    values: Memory,
    pool: NDArray[np.float64],
) -> NDArray[np.float64]:
    nats_B = np.zeros(value_B.size)
    for i in range(value_B.size):
        if place_B[i] < 0:
            continue
        column = _SHARES + place_B[i]
        pool[0, _SEEN] *= 0.5 ** ((active_B[i] - pool[0, _WHEN]) / values.half_lives_C[0])
        pool[0, _WHEN] = active_B[i]
        slot = touch(values, value_B[i], active_B[i])
        seen, every = values.counts_SC[slot, _SEEN], pool[0, _SEEN]
        p_all = (every * pool[0, column] + 1.0 / _PLACES) / (every + 1.0)
        nats_B[i] = max(0.0, -np.log((seen * values.counts_SC[slot, column] + p_all) / (seen + 1.0)))
        _add(values.counts_SC, slot, column)
        _add(pool, 0, column)
    return nats_B


@njit(cache=True)
def _add(counts_SC: NDArray[np.float64], slot: int, column: int) -> None:
    """One event more with this share: shares need not fade, as those of a slot would all do so alike."""
    added = 1.0 / (counts_SC[slot, _SEEN] + 1.0)
    for other in range(_SHARES, _SHARES + _PLACES):
        counts_SC[slot, other] *= 1.0 - added
    counts_SC[slot, column] += added
    counts_SC[slot, _SEEN] += 1.0
