"""Active time: how long there was something to see, which is the time in which memories fade."""

from datetime import timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Clock:
    """Turns the times of events into seconds of active time.

    A silence counts as at most `longest_silence`, so that neither a weekend without logs nor the years
    between two captures wipe out what was learned; a time before the latest one counts as the latest.
    """

    def __init__(self, longest_silence: timedelta = timedelta(hours=1)) -> None:
        self._longest_us = longest_silence // timedelta(microseconds=1)
        self._hands = np.array([-1, 0], np.int64)

    def advance(self, time_B: NDArray[np.int64]) -> NDArray[np.float64]:
        """Active seconds at each event, (B,) float64, from its time in microseconds."""
        return _advance(self._hands, time_B, self._longest_us)

    @property
    def seconds(self) -> float:
        """The active second of the latest event."""
        return float(self._hands[1] / 1e6)

    def wait(self) -> None:
        """Take the next event as happening now, whatever its time: how a stored memory wakes up."""
        self._hands[0] = -1

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Latest time and active time, in microseconds."""
        return {"hands": self._hands.copy()}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on from `state`."""
        self._hands[:] = state["hands"]


@njit(cache=True)
def _advance(hands: NDArray[np.int64], time_B: NDArray[np.int64], longest_us: int) -> NDArray[np.float64]:
    active_B = np.empty(time_B.size)
    for i in range(time_B.size):
        if hands[0] < 0:
            hands[0] = time_B[i]
        elif time_B[i] > hands[0]:
            hands[1] += min(time_B[i] - hands[0], longest_us)
            hands[0] = time_B[i]
        active_B[i] = hands[1] / 1e6
    return active_B
