"""The tally: how many verdicts each witness has on each entity in ten minutes, as a habit."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from agents.consensus.testimony import anchors, episode
from features.hashing import hash64
from features.memory import Memory, State, empty_memory, memory_state, mix, restore_memory, touch

_HABIT = 7 * 86_400.0  # half-life of a habit, in seconds
_UNKNOWN = 3.0  # episodes of one verdict that an entity is taken to have had before it is known

# Of an entity and a witness: verdicts and episodes, which fade; its latest episode, and the verdicts in it.
_VERDICTS, _EPISODES, _LATEST, _NOW = range(4)


class Tally:
    """A bounded table of counts; it depends on the verdicts and their order alone, not on the batches they came in."""

    def __init__(self, slots: int = 1 << 18) -> None:
        self._known = empty_memory(slots, _HABIT, _HABIT, kept=2)
        self._newest = np.zeros(1)

    def observe(self, told: pl.DataFrame) -> NDArray[np.float64]:
        """How busy each entity of testimony is by habit, (N, 4) float64, 1 or more; then this testimony is counted.

        The mean number of verdicts that the row's witness had on the entity in its earlier episodes, as if there had
        been three of one verdict before: who is busy for once is not excused.
        """
        usual_NE = np.ones((told.height, 4))
        seconds_N = told["time"].dt.epoch("us").to_numpy() / 1e6
        _walk(anchors(told), hash64(told["witness"]), episode(told), seconds_N, self._newest, self._known, usual_NE)
        return usual_NE

    def state(self) -> State:
        """The table, and the second it has come to."""
        return memory_state(self._known, "habits") | {"newest": self._newest.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        restore_memory(self._known, state, "habits")
        self._newest[:] = state["newest"]


@njit(cache=True)
def _walk(
    anchor_NE: NDArray[np.uint64],
    witness_N: NDArray[np.uint64],
    episode_N: NDArray[np.float64],
    seconds_N: NDArray[np.float64],
    newest: NDArray[np.float64],
    known: Memory,
    usual_NE: NDArray[np.float64],
) -> None:
    for i in range(witness_N.size):
        newest[0] = max(newest[0], seconds_N[i])
        for e in range(anchor_NE.shape[1]):
            if anchor_NE[i, e] != 0:
                habit = known.counts_SC[touch(known, mix(anchor_NE[i, e], witness_N[i]), newest[0])]
                if habit[_LATEST] != episode_N[i]:
                    habit[_EPISODES] += 1.0 if habit[_NOW] > 0.0 else 0.0
                    habit[_LATEST], habit[_NOW] = episode_N[i], 0.0
                habit[_NOW] += 1.0
                habit[_VERDICTS] += 1.0
                earlier = max(0.0, habit[_VERDICTS] - habit[_NOW])
                usual_NE[i, e] = max(1.0, (earlier + _UNKNOWN) / (habit[_EPISODES] + _UNKNOWN))
