"""Fan: how many new partners a key has met of late."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import Memory, State, empty_memory, memory_state, mix, restore_memory, touch
from features.word import Look

_FORGOTTEN = 1e-3


@dataclass(frozen=True)
class Fan:
    """log(1 + n), n the values of `field` that were new to the value of `per`, a count that halves every `recent`.

    A pair counts as new again when its own count, halving every `memory`, has faded below a thousandth.
    """

    field: str
    per: str
    recent: timedelta = timedelta(minutes=10)
    memory: timedelta = timedelta(days=7)

    @property
    def name(self) -> str:
        """Such as `new peers per address`."""
        return f"new {self.field} per {self.per}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Both fields."""
        return (self.field, self.per)

    def watch(self, slots: int) -> "FanWatch":
        """A fresh memory of at most `slots` pairs and as many keys."""
        return FanWatch(self, slots)


class FanWatch:
    """The pairs seen, and each key's count of new ones."""

    def __init__(self, word: Fan, slots: int) -> None:
        self._word = word
        self._pairs = empty_memory(slots, word.memory.total_seconds())
        self._fresh = empty_memory(slots, word.recent.total_seconds())

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Log of the count of new partners, this event's own included, (B,) float64; 0 for a partner known."""
        return _new(look.codes[self._word.field], look.codes[self._word.per], look.active_B, self._pairs, self._fresh)

    def state(self) -> State:
        """All counts."""
        return memory_state(self._pairs, "pairs") | memory_state(self._fresh, "fresh")

    def restore(self, state: State) -> None:
        """Go on from these counts."""
        restore_memory(self._pairs, state, "pairs")
        restore_memory(self._fresh, state, "fresh")


@njit(cache=True)
def _new(
    value_B: NDArray[np.uint64], per_B: NDArray[np.uint64], active_B: NDArray[np.float64], pairs: Memory, fresh: Memory
) -> NDArray[np.float64]:
    new_B = np.zeros(value_B.size)
    for i in range(value_B.size):
        if value_B[i] == 0:
            continue
        pair = touch(pairs, mix(per_B[i], value_B[i]), active_B[i])
        if pairs.counts_SC[pair, 0] < _FORGOTTEN:
            slot = touch(fresh, per_B[i], active_B[i])
            fresh.counts_SC[slot, 0] += 1.0
            new_B[i] = np.log1p(fresh.counts_SC[slot, 0])
        pairs.counts_SC[pair, 0] += 1.0
    return new_B
