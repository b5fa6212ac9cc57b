"""Fan: how many new partners a key has met of late."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from features.memory import AHEAD, Memory, State, count, empty_memory, fetch, kernel, memory_state, mix, restore_memory
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
        value_B, per_B = look.codes[self._word.field], look.codes[self._word.per]
        new_B = np.zeros(value_B.size)
        _new(value_B, per_B, look.active_B, self._pairs, self._fresh, new_B)
        return new_B

    def state(self) -> State:
        """All counts."""
        return memory_state(self._pairs, "pairs") | memory_state(self._fresh, "fresh")

    def restore(self, state: State) -> None:
        """Go on from these counts."""
        restore_memory(self._pairs, state, "pairs")
        restore_memory(self._fresh, state, "fresh")


@kernel
def _new(
    value_B: NDArray[np.uint64],
    per_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    pairs: Memory,
    fresh: Memory,
    new_B: NDArray[np.float64],
) -> None:
    for i in range(value_B.size):
        if i + AHEAD < value_B.size:
            fetch(pairs, mix(per_B[i + AHEAD], value_B[i + AHEAD]))
        if value_B[i] == 0:
            continue
        if count(pairs, mix(per_B[i], value_B[i]), active_B[i]) < _FORGOTTEN:
            new_B[i] = np.log1p(1.0 + count(fresh, per_B[i], active_B[i]))
